import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { type ProviderKind, type PutProviderBody, providerKinds } from '../../../../contract/models.ts';
import { useParts } from '../../api/parts.tsx';
import { nothing } from '../../api/schemas.ts';
import { Button } from '../ui/button.tsx';
import { SelectField, TextField } from '../ui/field.tsx';
import { InlineFailure } from '../ui/outcome.tsx';
import { useToast } from '../ui/toasts.tsx';

const titles: Record<ProviderKind, string> = {
  anthropic: 'Anthropic',
  openai: 'OpenAI',
  google: 'Google',
  'openai-compatible': 'OpenAI-compatible (Groq, Ollama, vLLM, a gateway …)',
};

/** Connects a provider: its key is sealed on the server and never comes back. */
export function ProviderForm({ onDone }: { onDone?: () => void }) {
  const { api, queries } = useParts();
  const toast = useToast();
  const [kind, setKind] = useState<ProviderKind>('anthropic');
  const [name, setName] = useState('');
  const [baseUrl, setBaseUrl] = useState('');
  const [apiKey, setApiKey] = useState('');
  const isOwn = kind === 'openai-compatible';
  const save = useMutation({
    mutationFn: () =>
      api.send(
        'PUT',
        `/providers/${encodeURIComponent(isOwn ? name.trim() : kind)}`,
        {
          kind,
          ...(baseUrl.trim() === '' ? {} : { baseUrl: baseUrl.trim() }),
          ...(apiKey.trim() === '' ? {} : { apiKey: apiKey.trim() }),
        } satisfies PutProviderBody,
        nothing,
      ),
    onSuccess: () => {
      setApiKey('');
      toast('Connected. A test call shows that it answers.');
      void queries.invalidateQueries({ queryKey: ['models'] });
      onDone?.();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit} className="grid gap-3">
      <SelectField
        label="Provider"
        value={kind}
        onChange={({ target }) => setKind(providerKinds.find((one) => one === target.value) ?? 'anthropic')}
      >
        {providerKinds.map((one) => (
          <option key={one} value={one}>
            {titles[one]}
          </option>
        ))}
      </SelectField>
      {isOwn && (
        <TextField
          label="Name"
          hint="Models are then called name/model."
          required
          pattern="[a-z][a-z0-9\-]{0,39}"
          placeholder="ollama"
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
      )}
      <TextField
        label="Key"
        hint="Sealed in the server’s vault. It is never shown again, and no agent sees it."
        type="password"
        mono
        required={!isOwn}
        autoComplete="off"
        value={apiKey}
        onChange={({ target }) => setApiKey(target.value)}
      />
      <TextField
        label={isOwn ? 'Base URL' : 'Base URL (optional)'}
        hint={isOwn ? 'As seen from the server.' : 'For a gateway that speaks the same protocol.'}
        type="url"
        mono
        required={isOwn}
        placeholder={isOwn ? 'http://127.0.0.1:11434/v1' : ''}
        value={baseUrl}
        onChange={({ target }) => setBaseUrl(target.value)}
      />
      <InlineFailure error={save.error} />
      <div>
        <Button look="primary" type="submit" busy={save.isPending}>
          Connect
        </Button>
      </div>
    </form>
  );
}
