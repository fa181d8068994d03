import { useMutation } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { type BeginSessionBody, sessionView } from '../../../contract/sessions.ts';
import { useParts } from '../api/parts.tsx';
import { BrandMark } from '../components/shell/brand.tsx';
import { Button } from '../components/ui/button.tsx';
import { TextField } from '../components/ui/field.tsx';
import { InlineFailure } from '../components/ui/outcome.tsx';
import { takeRememberedPath } from './session-gate.tsx';

/** Exchanges a one-time link, or a name and its password, for a session. */
export function LoginPage() {
  const { api, queries } = useParts();
  const router = useRouter();
  const [token, setToken] = useState(readToken);
  const sent = useRef<string | null>(null);
  const redeem = useMutation({
    mutationFn: (proof: BeginSessionBody) => api.post('/session', proof, sessionView),
    onError: () => setToken(null),
    onSuccess: (session) => {
      api.csrf = session.csrf;
      queries.setQueryData(['session'], session);
      router.history.replace(takeRememberedPath());
    },
  });
  const { mutate } = redeem;
  useEffect(() => {
    document.title = 'Log in · Mission Control';
    // A link that is opened where this page already is changes nothing but the part after the hash.
    const read = () => setToken((now) => readToken() ?? now);
    addEventListener('hashchange', read);
    return () => removeEventListener('hashchange', read);
  }, []);
  useEffect(() => {
    if (token === null || sent.current === token) return;
    sent.current = token;
    // The token must not stay in the address bar or the history, used or not.
    history.replaceState(history.state, '', '/login');
    mutate({ token });
  }, [token, mutate]);
  const isWaiting = token !== null && redeem.error === null;
  return (
    <main className="grid h-full place-items-center p-5">
      <div className="grid w-full max-w-[440px] gap-5">
        <div className="flex items-center gap-3">
          <BrandMark className="size-7" />
          <h1 className="text-xl font-semibold tracking-tight">Mission Control</h1>
        </div>
        {isWaiting ? (
          <output className="text-ink-2">Logging in…</output>
        ) : (
          <>
            <InlineFailure error={redeem.error} />
            <PasswordForm isBusy={redeem.isPending} onLogIn={mutate} />
            <p className="text-ink-2">
              Without a password you come in by a link that works once, and not for long. On the machine where
              the server runs:
            </p>
            <pre className="rounded-lg border border-line bg-panel px-4 py-3 text-sm">
              <span className="text-ink-3 select-none">$ </span>npx mission login
            </pre>
            <p className="text-ink-2">
              It prints a link; open it in this browser. On its first start the server prints one, too.
            </p>
          </>
        )}
      </div>
    </main>
  );
}

function PasswordForm({ isBusy, onLogIn }: { isBusy: boolean; onLogIn: (proof: BeginSessionBody) => void }) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onLogIn({ name: name.trim(), password });
    setPassword('');
  };
  return (
    <form onSubmit={submit} className="grid gap-3">
      <TextField
        label="Name"
        name="username"
        autoComplete="username"
        autoCapitalize="none"
        required
        value={name}
        onChange={({ target }) => setName(target.value)}
      />
      <TextField
        label="Password"
        name="password"
        type="password"
        autoComplete="current-password"
        required
        value={password}
        onChange={({ target }) => setPassword(target.value)}
      />
      <Button type="submit" look="primary" busy={isBusy}>
        Log in
      </Button>
    </form>
  );
}

function readToken(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get('token');
}
