import { type FormEvent, useEffect, useRef, useState } from 'react';
import type { AskView } from '../../../../contract/asks.ts';
import { exactParts } from '../../../../contract/exact-text.ts';
import { useCanAct } from '../../api/queries.ts';
import { plural } from '../../text/format.ts';
import { ExactText } from '../exact-text.tsx';
import { Button } from '../ui/button.tsx';
import { TextArea } from '../ui/field.tsx';
import { Kbd } from '../ui/kbd.tsx';
import { InlineFailure } from '../ui/outcome.tsx';
import { useHotkeys } from '../ui/use-hotkeys.ts';
import { commandOf, optionsOf, readAction } from './ask-action.tsx';
import { RememberForm } from './remember-form.tsx';
import { type Decision, useDecide } from './use-decide.ts';

type Mode = 'choose' | 'edit' | 'deny' | 'remember';

interface AskControlsProps {
  ask: AskView;
  /** True where the keys A, E and D are meant for this ask. */
  active: boolean;
  /** In a list: as few lines as may be. */
  compact?: boolean;
}

/** Approve, edit, deny with a reason; or answer. */
export function AskControls({ ask, active, compact = false }: AskControlsProps) {
  const decide = useDecide(ask);
  const canAct = useCanAct();
  const [mode, setMode] = useState<Mode>('choose');
  const isQuestion = ask.kind === 'clarification';
  const canEdit = readAction(ask) !== null;
  useHotkeys(
    {
      a: () => !isQuestion && decide.mutate({ decision: 'approve' }),
      e: () => canEdit && setMode('edit'),
      l: () => ask.offer !== null && setMode('remember'),
      d: () => setMode('deny'),
    },
    active && canAct && mode === 'choose' && !decide.isPending,
  );
  const cancel = () => setMode('choose');
  if (!canAct) return <p className="text-sm text-ink-3">An operator or an admin decides this.</p>;
  return (
    <div className="grid gap-2">
      {mode === 'choose' && isQuestion && (
        <AnswerForm
          ask={ask}
          compact={compact}
          busy={decide.isPending}
          onDecide={decide.mutate}
          onDeny={() => setMode('deny')}
        />
      )}
      {mode === 'choose' && !isQuestion && (
        <div className="flex flex-wrap gap-1.5">
          <Button
            look="primary"
            busy={decide.isPending}
            onClick={() => decide.mutate({ decision: 'approve' })}
          >
            Approve <Kbd inverted>A</Kbd>
          </Button>
          {ask.offer !== null && (
            <Button disabled={decide.isPending} onClick={() => setMode('remember')}>
              Approve for longer <Kbd>L</Kbd>
            </Button>
          )}
          {canEdit && (
            <Button disabled={decide.isPending} onClick={() => setMode('edit')}>
              Edit <Kbd>E</Kbd>
            </Button>
          )}
          <Button disabled={decide.isPending} onClick={() => setMode('deny')}>
            Deny <Kbd>D</Kbd>
          </Button>
        </div>
      )}
      {mode === 'edit' && (
        <EditForm ask={ask} busy={decide.isPending} onDecide={decide.mutate} onCancel={cancel} />
      )}
      {mode === 'remember' && ask.offer !== null && (
        <RememberForm offer={ask.offer} busy={decide.isPending} onDecide={decide.mutate} onCancel={cancel} />
      )}
      {mode === 'deny' && <DenyForm busy={decide.isPending} onDecide={decide.mutate} onCancel={cancel} />}
      <InlineFailure error={decide.error} />
    </div>
  );
}

interface FormProps {
  busy: boolean;
  onDecide: (decision: Decision) => void;
  onCancel: () => void;
}

function useFocus() {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector('textarea')?.focus(), []);
  return form;
}

function closeOnEscape(close: () => void) {
  return (event: { key: string; stopPropagation: () => void }) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    close();
  };
}

function DenyForm({ busy, onDecide, onCancel }: FormProps) {
  const form = useFocus();
  const [reason, setReason] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onDecide({ decision: 'deny', answer: reason.trim() });
  };
  return (
    <form ref={form} onSubmit={submit} onKeyDown={closeOnEscape(onCancel)} className="grid gap-2">
      <TextArea
        label="Why not?"
        hint="The agent reads this and goes another way. It may be empty."
        rows={2}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
      <div className="flex gap-1.5">
        <Button look="danger" type="submit" busy={busy}>
          Deny
        </Button>
        <Button look="ghost" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

function EditForm({ ask, busy, onDecide, onCancel }: FormProps & { ask: AskView }) {
  const form = useFocus();
  const input = readAction(ask)?.input;
  const command = commandOf(input);
  const [text, setText] = useState(command ?? JSON.stringify(input, null, 2));
  const [error, setError] = useState<string>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const edited =
      command === null
        ? parseInput(text)
        : { ok: true as const, value: { ...asObject(input), command: text } };
    if (edited.ok) onDecide({ decision: 'approve', input: edited.value });
    else setError(edited.message);
  };
  return (
    <form ref={form} onSubmit={submit} onKeyDown={closeOnEscape(onCancel)} className="grid gap-2">
      <TextArea
        label={command === null ? 'The arguments, as JSON' : 'The command'}
        hint="What you write here runs in its place, once, and the agent is told that you changed it."
        mono
        dir="ltr"
        spellCheck={false}
        rows={Math.min(14, Math.max(2, text.split('\n').length))}
        value={text}
        error={error}
        onChange={(event) => {
          setText(event.target.value);
          setError(undefined);
        }}
      />
      <HiddenCharacters text={text} onRemove={setText} />
      <div className="flex gap-1.5">
        <Button look="primary" type="submit" busy={busy}>
          Approve as edited
        </Button>
        <Button look="ghost" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

/** A text field hides what takes no ink; so it is named beside it. */
function HiddenCharacters({ text, onRemove }: { text: string; onRemove: (clean: string) => void }) {
  const parts = exactParts(text);
  const hidden = parts.filter((part) => part.hidden !== null);
  if (hidden.length === 0) return null;
  const clean = () =>
    onRemove(
      parts
        .filter((part) => part.hidden === null)
        .map((part) => part.text)
        .join(''),
    );
  return (
    <div className="grid gap-1.5 rounded-md border border-line bg-sunken px-2.5 py-2 text-sm">
      <code>
        <ExactText text={text} />
      </code>
      <p className="flex flex-wrap items-center gap-2 text-ink-2">
        It holds {plural(hidden.length, 'character')} that cannot be seen.
        <Button onClick={clean}>Take them out</Button>
      </p>
    </div>
  );
}

function AnswerForm(
  props: Omit<FormProps, 'onCancel'> & { ask: AskView; compact: boolean; onDeny: () => void },
) {
  const { ask, compact, busy, onDecide, onDeny } = props;
  const [text, setText] = useState('');
  const options = optionsOf(ask);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim() !== '') onDecide({ decision: 'answer', answer: text.trim() });
  };
  return (
    <form onSubmit={submit} className="grid gap-2">
      {options.length > 0 && (
        <fieldset className="flex flex-wrap gap-1.5">
          <legend className="sr-only">Suggested answers</legend>
          {options.map((option) => (
            <Button
              key={option}
              disabled={busy}
              className="!h-auto max-w-full py-1 !whitespace-normal"
              onClick={() => onDecide({ decision: 'answer', answer: option })}
            >
              {option}
            </Button>
          ))}
        </fieldset>
      )}
      <TextArea
        label={options.length > 0 ? 'Or in your own words' : 'Your answer'}
        rows={compact ? 1 : 3}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <div className="flex gap-1.5">
        <Button look="primary" type="submit" busy={busy} disabled={text.trim() === ''}>
          Answer
        </Button>
        <Button look="ghost" onClick={onDeny}>
          Decline to answer <Kbd>D</Kbd>
        </Button>
      </div>
    </form>
  );
}

type ParsedInput = { ok: true; value: Record<string, unknown> } | { ok: false; message: string };

function parseInput(text: string): ParsedInput {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return { ok: false, message: 'The arguments are an object: { … }' };
    return { ok: true, value: { ...value } };
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, message: `This is not JSON: ${error.message}` };
    throw error;
  }
}

function asObject(input: unknown): Record<string, unknown> {
  return typeof input === 'object' && input !== null ? { ...input } : {};
}
