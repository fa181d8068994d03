import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { z } from 'zod';
import {
  type NotificationBody,
  type NotificationView,
  notificationKinds,
  notificationTested,
  notificationView,
} from '../../../../contract/notifications.ts';
import { useParts } from '../../api/parts.tsx';
import { nothing } from '../../api/schemas.ts';
import { Button } from '../ui/button.tsx';
import { SelectField, TextField } from '../ui/field.tsx';
import { InlineFailure } from '../ui/outcome.tsx';
import { Panel } from '../ui/panel.tsx';
import { useToast } from '../ui/toasts.tsx';

const list = z.object({ items: z.array(notificationView) });
const kindWords: Record<NotificationBody['kind'], string> = {
  ntfy: 'ntfy',
  slack: 'Slack',
  discord: 'Discord',
  webhook: 'Webhook (signed JSON)',
};

/** Who is told by push when somebody is needed, a task ends or money runs out. */
export function PushNotifications() {
  const { api } = useParts();
  const [adding, setAdding] = useState(false);
  const notifications = useQuery({
    queryKey: ['notifications'],
    queryFn: ({ signal }) => api.get('/notifications', list, signal),
  });
  const items = notifications.data?.items ?? [];
  return (
    <Panel className="grid gap-3 px-4 py-3">
      <div className="flex flex-wrap items-center gap-3">
        <p className="min-w-0 flex-1">
          <span className="font-medium">Push.</span>{' '}
          <span className="text-ink-2">
            {items.length === 0
              ? 'Nobody is told while no page is open. A push goes to ntfy, Slack, Discord or any webhook.'
              : 'Told when somebody is needed, a task ends, a budget is near, or something waited too long.'}
          </span>
        </p>
        {!adding && <Button onClick={() => setAdding(true)}>Add a push</Button>}
      </div>
      <InlineFailure error={notifications.error} />
      {items.length > 0 && (
        <ul aria-label="Pushes" className="divide-y divide-line border-t border-line">
          {items.map((one) => (
            <PushRow key={one.name} push={one} />
          ))}
        </ul>
      )}
      {adding && <PushForm onDone={() => setAdding(false)} />}
    </Panel>
  );
}

function PushRow({ push }: { push: NotificationView }) {
  const { api, queries } = useParts();
  const toast = useToast();
  const path = `/notifications/${encodeURIComponent(push.name)}`;
  const test = useMutation({
    mutationFn: () => api.post(`${path}/test`, undefined, notificationTested),
    onSuccess: ({ host }) => toast(`${host} took the test message.`),
  });
  const remove = useMutation({
    mutationFn: () => api.send('DELETE', path, undefined, nothing),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['notifications'] }),
  });
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1.5 py-2">
      <span className="font-medium">{push.name}</span>
      <span className="min-w-0 text-sm break-all text-ink-3">
        {kindWords[push.kind]} · {push.host} · {push.topics.join(', ')}
        {push.source === 'file' && ' · set in mission.config.json'}
      </span>
      <span className="ml-auto flex gap-1.5">
        <Button busy={test.isPending} onClick={() => test.mutate()}>
          Send a test
        </Button>
        {push.source === 'api' && (
          <Button look="ghost" busy={remove.isPending} onClick={() => remove.mutate()}>
            Remove
          </Button>
        )}
      </span>
      <InlineFailure error={test.error ?? remove.error} />
    </li>
  );
}

function PushForm({ onDone }: { onDone: () => void }) {
  const { api, queries } = useParts();
  const [kind, setKind] = useState<NotificationBody['kind']>('ntfy');
  const [name, setName] = useState('phone');
  const [url, setUrl] = useState('');
  const save = useMutation({
    mutationFn: () =>
      api.send(
        'PUT',
        `/notifications/${encodeURIComponent(name)}`,
        { kind, url: url.trim() },
        notificationView,
      ),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ['notifications'] });
      onDone();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form onSubmit={submit} className="grid gap-3 border-t border-line pt-3">
      <div className="grid gap-3 md:grid-cols-2">
        <SelectField
          label="To"
          value={kind}
          onChange={({ target }) =>
            setKind(notificationKinds.find((one) => one === target.value) ?? 'webhook')
          }
        >
          {notificationKinds.map((one) => (
            <option key={one} value={one}>
              {kindWords[one]}
            </option>
          ))}
        </SelectField>
        <TextField
          label="Name"
          required
          pattern="[a-z0-9][a-z0-9\-]{0,62}"
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
      </div>
      <TextField
        label="Address"
        hint="Sealed on the server and never shown again, since it may hold a token."
        type="url"
        required
        mono
        placeholder={kind === 'ntfy' ? 'https://ntfy.sh/your-topic' : 'https://…'}
        value={url}
        onChange={({ target }) => setUrl(target.value)}
      />
      <InlineFailure error={save.error} />
      <div className="flex gap-1.5">
        <Button look="primary" type="submit" busy={save.isPending}>
          Add
        </Button>
        <Button look="ghost" onClick={onDone}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
