import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import type { ModelView, ProviderView } from '../../../contract/models.ts';
import { useParts } from '../api/parts.tsx';
import { useModels, useSession, useStatus } from '../api/queries.ts';
import { nothing } from '../api/schemas.ts';
import { ModelTest } from '../components/forms/model-test.tsx';
import { PriceForm } from '../components/forms/price-form.tsx';
import { ProviderForm } from '../components/forms/provider-form.tsx';
import { PushNotifications } from '../components/forms/push-notifications.tsx';
import { RecordingTag } from '../components/runs/run-badges.tsx';
import { type NotifyState, readNotifyState, setNotify } from '../components/shell/notify.ts';
import { Page } from '../components/shell/page.tsx';
import { Button } from '../components/ui/button.tsx';
import { Failure, InlineFailure, Loading } from '../components/ui/outcome.tsx';
import { Panel, Quiet, RowList, Section } from '../components/ui/panel.tsx';
import { State } from '../components/ui/state-mark.tsx';
import { themes, useTheme } from '../components/ui/theme.ts';
import { plural, tokens } from '../text/format.ts';

export function SettingsPage() {
  return (
    <Page title="Settings">
      <div className="mx-auto w-full max-w-[860px]">
        <Models />
        <Section title="Connect a provider">
          <Panel className="max-w-[560px] p-4">
            <ProviderForm />
          </Panel>
        </Section>
        <Section title="Theme">
          <ThemeChoice />
        </Section>
        <Section title="Notifications">
          <div className="grid gap-3">
            <BrowserNotifications />
            <PushNotifications />
          </div>
        </Section>
        <Section title="About">
          <About />
        </Section>
      </div>
    </Page>
  );
}

function Models() {
  const models = useModels();
  if (models.data === undefined)
    return (
      <Section title="Models">
        {models.error === null ? (
          <Loading rows={3} label="Reading the models" />
        ) : (
          <Failure error={models.error} onRetry={() => void models.refetch()} />
        )}
      </Section>
    );
  const { providers, models: all } = models.data;
  return (
    <>
      <Section title="Providers">
        {providers.length === 0 && (
          <Quiet>No provider has a key yet. The sample task needs none; a task of your own does.</Quiet>
        )}
        <RowList label="Providers">
          {providers.map((provider) => (
            <ProviderRow
              key={provider.name}
              provider={provider}
              model={all.find((one) => one.provider === provider.name && !one.recording)}
            />
          ))}
        </RowList>
      </Section>
      <Section title="Models" note={plural(all.length, 'model')}>
        <RowList label="Models">
          {all.map((model) => (
            <li key={model.model} className="flex flex-wrap items-baseline gap-x-4 gap-y-1 px-3.5 py-2">
              <code className="min-w-0 break-all">{model.model}</code>
              {model.recording && <RecordingTag />}
              <span className="text-sm text-ink-3 md:ml-auto">
                {model.contextTokens ? `${tokens(model.contextTokens)} tokens of context · ` : ''}
                {priceNote(model)}
              </span>
              {model.price === null && !model.recording && <PriceForm model={model.model} />}
            </li>
          ))}
        </RowList>
      </Section>
    </>
  );
}

function priceNote(model: ModelView): ReactNode {
  if (model.recording) return 'costs nothing';
  if (model.price === null) return <span className="text-wait">price unknown</span>;
  const { input, output } = model.price;
  return `$${input} in, $${output} out a million · ${model.priceAsOf ?? 'undated'}`;
}

function ProviderRow({ provider, model }: { provider: ProviderView; model: ModelView | undefined }) {
  const { api, queries } = useParts();
  const remove = useMutation({
    mutationFn: () =>
      api.send('DELETE', `/providers/${encodeURIComponent(provider.name)}`, undefined, nothing),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['models'] }),
  });
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 px-3.5 py-2.5">
      <span className="w-32 font-medium">{provider.name}</span>
      {provider.connected ? <State mark="ok">connected</State> : <State mark="todo">no key</State>}
      <span className="min-w-0 text-sm break-all text-ink-3">
        {provider.keyFrom ? `key from the ${provider.keyFrom}` : ''}
        {provider.keyFrom ? ' · ' : ''}
        {provider.baseUrl}
      </span>
      <span className="ml-auto flex flex-wrap items-center gap-2">
        {provider.connected && model !== undefined && <ModelTest model={model.model} />}
        {provider.keyFrom === 'vault' && (
          <Button look="ghost" busy={remove.isPending} onClick={() => remove.mutate()}>
            Remove
          </Button>
        )}
      </span>
      {provider.problem !== null && <p className="w-full text-sm text-fail">{provider.problem}</p>}
      <InlineFailure error={remove.error} />
    </li>
  );
}

const themeWords = { system: 'As the system', light: 'Light', dark: 'Dark' };

function ThemeChoice() {
  const [theme, setTheme] = useTheme();
  return (
    <fieldset className="inline-flex rounded-md border border-line-control bg-panel p-0.5">
      <legend className="sr-only">Theme</legend>
      {themes.map((one) => (
        <label
          key={one}
          className={`flex h-9 cursor-pointer items-center rounded px-3 text-sm has-focus-visible:outline-2 has-focus-visible:outline-accent md:h-7 ${
            theme === one ? 'bg-hover font-medium' : 'text-ink-2'
          }`}
        >
          <input
            type="radio"
            name="theme"
            value={one}
            checked={theme === one}
            onChange={() => setTheme(one)}
            className="sr-only"
          />
          {themeWords[one]}
        </label>
      ))}
    </fieldset>
  );
}

const notifyWords: Record<NotifyState, string> = {
  unsupported:
    'This browser shows no notifications, or the page did not come over HTTPS or from this machine.',
  blocked: 'The browser blocks them for this address; its own settings can change that.',
  off: 'Off. While the page is open but not in view, you would be told when you are needed.',
  on: 'On: asks, changes to review and failures, while the page is open but not in view.',
};

function BrowserNotifications() {
  const [state, setState] = useState(readNotifyState);
  const canSwitch = state === 'on' || state === 'off';
  return (
    <Panel className="flex flex-wrap items-center gap-3 px-4 py-3">
      <p className="min-w-0 flex-1">
        <span className="font-medium">This browser.</span>{' '}
        <span className="text-ink-2">{notifyWords[state]}</span>
      </p>
      {canSwitch && (
        <Button onClick={() => void setNotify(state === 'off').then(setState)}>
          {state === 'off' ? 'Turn on' : 'Turn off'}
        </Button>
      )}
    </Panel>
  );
}

function About() {
  const { api, queries } = useParts();
  const session = useSession();
  const status = useStatus();
  const leave = useMutation({
    mutationFn: () => api.send('DELETE', '/session', undefined, nothing),
    onSuccess: () => queries.resetQueries({ queryKey: ['session'] }),
  });
  return (
    <Panel className="grid gap-3 px-4 py-3">
      <dl className="grid grid-cols-[120px_minmax(0,1fr)] gap-y-1">
        <dt className="text-ink-3">Version</dt>
        <dd>{status.data?.version ?? '…'}</dd>
        <dt className="text-ink-3">You</dt>
        <dd>
          {session.data?.principal.name} ({session.data?.principal.role})
        </dd>
        <dt className="text-ink-3">Workers</dt>
        <dd>
          {status.data?.workers.map((worker) => (
            <div key={worker.id} className="break-words">
              {worker.host}, process {worker.pid} · {worker.sandbox} · {plural(worker.runs, 'run')}
            </div>
          ))}
          {status.data?.workers.length === 0 && <span className="text-wait">none: no run can start</span>}
        </dd>
      </dl>
      <div>
        <Button busy={leave.isPending} onClick={() => leave.mutate()}>
          Log out
        </Button>
        <InlineFailure error={leave.error} />
      </div>
    </Panel>
  );
}
