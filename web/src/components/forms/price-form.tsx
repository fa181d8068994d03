import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import type { PutPriceBody } from '../../../../contract/models.ts';
import { useParts } from '../../api/parts.tsx';
import { nothing } from '../../api/schemas.ts';
import { Button } from '../ui/button.tsx';
import { TextField } from '../ui/field.tsx';
import { InlineFailure } from '../ui/outcome.tsx';

/** A model whose price nobody has said cannot be used: its calls could not be reserved. */
export function PriceForm({ model }: { model: string }) {
  const { api, queries } = useParts();
  const [open, setOpen] = useState(false);
  const [input, setInput] = useState('');
  const [output, setOutput] = useState('');
  const save = useMutation({
    mutationFn: () => {
      const price: PutPriceBody = { input: Number(input), output: Number(output) };
      return api.send('PUT', `/models/${encodeURIComponent(model)}/price`, price, nothing);
    },
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['models'] }),
  });
  if (!open) return <Button onClick={() => setOpen(true)}>Say its price</Button>;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const field = { required: true, inputMode: 'decimal' as const, pattern: '\\d+([.]\\d+)?' };
  return (
    <form
      onSubmit={submit}
      className="grid w-full grid-cols-2 items-end gap-3 md:grid-cols-[160px_160px_auto]"
    >
      <TextField
        label="Input"
        hint="US dollars a million tokens"
        value={input}
        onChange={({ target }) => setInput(target.value)}
        {...field}
      />
      <TextField
        label="Output"
        hint="US dollars a million tokens"
        value={output}
        onChange={({ target }) => setOutput(target.value)}
        {...field}
      />
      <div className="pb-6">
        <Button type="submit" busy={save.isPending}>
          Keep
        </Button>
      </div>
      <InlineFailure error={save.error} />
    </form>
  );
}
