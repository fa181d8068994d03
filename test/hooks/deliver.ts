import { createHmac, randomUUID } from 'node:crypto';
import type { CreatedHook, CreateHookBody, HookDeliveryView } from '../../contract/hooks.ts';
import type { ProjectView } from '../../contract/projects.ts';
import { signWebhook } from '../../server/channels/standard-webhooks.ts';
import type { House } from '../e2e/house.ts';
import { until } from '../start-app.ts';

export interface Answer {
  status: number;
  text: string;
}

/** Posts to a hook as the world does: without a key. */
export async function post(
  house: House,
  hook: { id: string },
  body: string,
  headers: Record<string, string>,
): Promise<Answer> {
  const response = await fetch(`${house.url}/api/v1/hooks/${hook.id}/deliveries`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: response.status, text: await response.text() };
}

/** The headers of Standard Webhooks. */
export function signed(
  body: string,
  secret: string,
  { id = `msg_${randomUUID()}`, now = Date.now() }: { id?: string; now?: number } = {},
): Record<string, string> {
  return signWebhook(body, [secret], { id, now });
}

export function signedByGithub(
  body: string,
  secret: string,
  { id = randomUUID(), event = 'issues' }: { id?: string; event?: string } = {},
): Record<string, string> {
  const hash = createHmac('sha256', secret).update(body).digest('hex');
  return { 'x-hub-signature-256': `sha256=${hash}`, 'x-github-delivery': id, 'x-github-event': event };
}

export async function makeHook(
  house: House,
  more: Partial<CreateHookBody> & { name: string },
): Promise<CreatedHook> {
  const project = await house.ask<ProjectView>('POST', '/projects', { name: `project of ${more.name}` });
  const hook = await house.ask<CreatedHook>('POST', '/hooks', {
    project: project.id,
    scheme: 'standard-webhooks',
    title: 'Issue {{issue.number}}: {{issue.title}}',
    instructions: 'Look into the issue.\n\n{{issue.body}}',
    ...more,
  });
  if (typeof hook.secret !== 'string') throw new Error(`no hook was made: ${JSON.stringify(hook)}`);
  return hook;
}

export const issue = (title: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({ action: 'opened', issue: { number: 7, title, body: 'It adds wrongly.' }, ...more });

export async function tasksOf(house: House, hook: { project: string }): Promise<{ id: string }[]> {
  return (await house.ask<{ items: { id: string }[] }>('GET', `/tasks?project=${hook.project}`)).items;
}

/** Refusals are kept after their answer: waits until there are as many. */
export function refusalsOf(house: House, hook: { id: string }, count: number): Promise<string[]> {
  return until(async () => {
    const path = `/hooks/${hook.id}/deliveries?status=refused`;
    const { items } = await house.ask<{ items: HookDeliveryView[] }>('GET', path);
    const times = items.reduce((sum, each) => sum + each.times, 0);
    return times < count ? undefined : items.map((each) => each.reason ?? '');
  }, `${count} refusals are kept`);
}
