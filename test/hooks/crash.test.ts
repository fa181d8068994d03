import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { CreatedHook } from '../../contract/hooks.ts';
import type { ProjectView } from '../../contract/projects.ts';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { makeHome, until } from '../start-app.ts';
import { issue, signed } from './deliver.ts';

const deliveries = 20;

test('a server that dies among deliveries makes one task of each, however often its sender tries again', {
  timeout: 120_000,
}, async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome();
  const env = { DATABASE_URL: database.connectionString };
  const first = await home.start({ roles: 'api', env });
  const call = async <T>(path: string, body: unknown): Promise<T> => {
    const { url, key } = await home.api.connection();
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const response = await fetch(`${url}/api/v1${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    const answer: T = JSON.parse(await response.text());
    return answer;
  };
  const project = await call<ProjectView>('/projects', { name: 'shop' });
  const hook = await call<CreatedHook>('/hooks', {
    name: 'alerts',
    project: project.id,
    scheme: 'standard-webhooks',
    title: '{{issue.title}}',
    instructions: 'Look.',
  });
  const signal = AbortSignal.timeout(90_000);
  /** As senders do: the same delivery again, until it is taken, and then once more. */
  const send = async (number: number): Promise<string[]> => {
    const body = issue(`Number ${number}`);
    const headers = signed(body, hook.secret, { id: `msg_${number}` });
    const answers: string[] = [];
    while (answers.length < 2) {
      signal.throwIfAborted();
      const { url } = await home.api.connection();
      const options = { method: 'POST', body, headers: { ...headers, 'content-type': 'application/json' } };
      try {
        const response = await fetch(`${url}${hook.path}`, options);
        if (response.status === 202) answers.push(await response.text());
      } catch (error) {
        // The server is dead, or died before it answered.
        if (!(error instanceof TypeError)) throw error;
        await delay(50, undefined, { signal });
      }
    }
    return answers;
  };
  const sending = Promise.all(Array.from({ length: deliveries }, (_, number) => send(number)));
  await until(async () => {
    const { count } = await database.database.one<{ count: number }>(
      sql`SELECT count(*)::integer AS count FROM hook_deliveries`,
    );
    return count >= 5 ? true : undefined;
  }, 'some deliveries are in');
  first.kill('SIGKILL');
  await first.exit;
  await home.start({ roles: 'api', env });
  for (const [one, again] of await sending) expect(again).toBe(one);
  const { tasks, titles } = await database.database.one<{ tasks: number; titles: number }>(
    sql`SELECT count(*)::integer AS tasks, count(DISTINCT title)::integer AS titles FROM tasks`,
  );
  expect([tasks, titles]).toEqual([deliveries, deliveries]);
});
