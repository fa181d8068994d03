import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useRef, useState } from 'react';
import type { RunView } from '../../../../contract/runs.ts';
import { useParts } from '../../api/parts.tsx';
import { nothing } from '../../api/schemas.ts';
import { Button } from '../ui/button.tsx';
import { Kbd } from '../ui/kbd.tsx';
import { InlineFailure } from '../ui/outcome.tsx';
import { useToast } from '../ui/toasts.tsx';
import { useHotkeys } from '../ui/use-hotkeys.ts';

/** A sentence to the agent, read at its next step. */
export function GuidanceBox({ run }: { run: RunView }) {
  const { api } = useParts();
  const toast = useToast();
  const [text, setText] = useState('');
  const input = useRef<HTMLInputElement>(null);
  const say = useMutation({
    mutationFn: (sentence: string) => api.post(`/runs/${run.id}/say`, { text: sentence }, nothing),
    onSuccess: () => {
      setText('');
      toast('Said. It is read at the next step.');
    },
  });
  useHotkeys({ i: () => input.current?.focus() });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim() !== '') say.mutate(text.trim());
  };
  return (
    <form onSubmit={submit} className="flex-none border-t border-line bg-bg px-3.5 py-2.5 md:px-4">
      <div className="flex items-center gap-2">
        <input
          ref={input}
          aria-label="Guidance"
          placeholder={`Tell ${run.agent} something; it reads it at its next step`}
          value={text}
          maxLength={20_000}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
          className="h-10 min-w-0 flex-1 rounded-md border border-line-strong bg-panel px-2.5 placeholder:text-ink-3 md:h-8"
        />
        <Button type="submit" busy={say.isPending} disabled={text.trim() === ''}>
          Send <Kbd>↵</Kbd>
        </Button>
      </div>
      <InlineFailure error={say.error} />
    </form>
  );
}
