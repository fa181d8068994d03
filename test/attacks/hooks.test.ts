import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CreatedHook, HookReceipt } from '../../contract/hooks.ts';
import { sql } from '../../server/database/sql.ts';
import { House } from '../e2e/house.ts';
import { issue, makeHook, post, refusalsOf, signed, signedByGithub, tasksOf } from '../hooks/deliver.ts';

let house: House;
let hook: CreatedHook;
let github: CreatedHook;
beforeAll(async () => {
  house = await House.open({ roles: ['api'] });
  hook = await makeHook(house, { name: 'alerts' });
  github = await makeHook(house, { name: 'issues', scheme: 'github' });
});
afterAll(() => house[Symbol.asyncDispose]());

const fiveMinutes = 300_000;
const withoutRequestId = (text: string) => text.replace(/"requestId":"[^"]*"/, '');

test('41: what is posted to a hook makes one task where it is signed, and is answered alike when it comes again', async () => {
  const body = issue('The sum is wrong');
  const headers = signed(body, hook.secret);
  const first = await post(house, hook, body, headers);
  expect(first.status).toBe(202);
  const receipt: HookReceipt = JSON.parse(first.text);
  expect(receipt).toMatchObject({ status: 'accepted', task: expect.stringMatching(/^task_/) });
  expect(await post(house, hook, body, headers)).toEqual(first);
  // The same delivery that is signed anew, as a sender's retry is.
  const again = signed(body, hook.secret, { id: String(headers['webhook-id']), now: Date.now() - 60_000 });
  expect(await post(house, hook, body, again)).toEqual(first);
  expect(await tasksOf(house, hook)).toMatchObject([{ id: receipt.task, createdBy: 'hook:alerts' }]);
});

test('41: it is refused alike whatever is wrong with it, and says nothing of the hook', async () => {
  const body = issue('A forged one');
  const other = `whsec_${randomBytes(32).toString('base64')}`;
  const good = signed(body, hook.secret);
  const { 'webhook-signature': signature = '', ...unsigned } = good;
  const { 'webhook-timestamp': _, ...timeless } = good;
  const disabled = await makeHook(house, { name: 'disabled' });
  await house.ask('PATCH', `/hooks/${disabled.id}`, { status: 'disabled' });
  const removed = await makeHook(house, { name: 'removed' });
  await house.fetch(`/hooks/${removed.id}`, { method: 'DELETE' });
  const attempts: [string, CreatedHook, string, Record<string, string>][] = [
    ['no signature', hook, body, unsigned],
    ['no time', hook, body, timeless],
    ['nothing at all', hook, body, {}],
    ['another secret', hook, body, signed(body, other)],
    ['an empty secret', hook, body, signed(body, '')],
    ['an empty whsec_', hook, body, signed(body, 'whsec_')],
    ['an empty signature', hook, body, { ...unsigned, 'webhook-signature': 'v1,' }],
    ['a signature cut short', hook, body, { ...unsigned, 'webhook-signature': signature.slice(0, -8) }],
    ['another body', hook, body.replace('forged', 'forgéd'), good],
    ['another byte', hook, `${body} `, good],
    ['another identifier', hook, body, { ...good, 'webhook-id': 'msg_other' }],
    [
      'another time',
      hook,
      body,
      { ...good, 'webhook-timestamp': `${Number(good['webhook-timestamp']) + 1}` },
    ],
    ['a stale time', hook, body, signed(body, hook.secret, { now: Date.now() - fiveMinutes - 5_000 })],
    ['a time to come', hook, body, signed(body, hook.secret, { now: Date.now() + fiveMinutes + 5_000 })],
    ['the other scheme', hook, body, signedByGithub(body, hook.secret)],
    ['a disabled hook', disabled, body, signed(body, disabled.secret)],
    ['a removed hook', removed, body, signed(body, removed.secret)],
    ['a hook that never was', { ...hook, id: 'hook_00000000000000000' }, body, good],
    ['no identifier of a hook', { ...hook, id: '%00' }, body, good],
    ['GitHub without a signature', github, body, { 'x-github-delivery': 'a' }],
    ['GitHub with another secret', github, body, signedByGithub(body, other)],
    ['GitHub with SHA-1 alone', github, body, { 'x-hub-signature': 'sha1=00', 'x-github-delivery': 'a' }],
    ['a good key of a person', hook, body, { authorization: `Bearer ${house.key}` }],
  ];
  const before = (await tasksOf(house, hook)).length;
  const answers = new Set<string>();
  for (const [name, to, text, headers] of attempts) {
    const answer = await post(house, to, text, headers);
    expect([name, answer.status]).toEqual([name, 401]);
    answers.add(withoutRequestId(answer.text));
  }
  expect([...answers]).toHaveLength(1);
  expect(await tasksOf(house, hook)).toHaveLength(before);
  const reasons = await refusalsOf(house, hook, 16);
  expect(reasons.join('\n')).toContain('no secret of the hook made its signature');
  expect(reasons.join('\n')).toContain('five minutes');
  expect(await refusalsOf(house, disabled, 1)).toEqual(['the hook is disabled']);
  const kept = await house.database.many(sql`SELECT * FROM hook_deliveries WHERE status = 'refused'`);
  expect(JSON.stringify(kept)).not.toContain('forged');
});

test('41: it fails closed where the secret cannot be opened', async () => {
  const sealed = await makeHook(house, { name: 'sealed' });
  const body = issue('Nobody can verify this');
  await house.database.many(sql`UPDATE hooks SET sealed = sealed || '\\x00'::bytea WHERE id = ${sealed.id}`);
  expect((await post(house, sealed, body, signed(body, sealed.secret))).status).toBe(401);
  expect((await post(house, sealed, body, signed(body, ''))).status).toBe(401);
  expect(await tasksOf(house, sealed)).toEqual([]);
});

test('41: what was seen on the way has no second effect under another identifier, which GitHub does not sign', async () => {
  const body = issue('Seen by somebody');
  const first = await post(house, github, body, signedByGithub(body, github.secret, { id: 'first' }));
  expect(first.status).toBe(202);
  const replayed = await post(house, github, body, signedByGithub(body, github.secret, { id: 'second' }));
  expect(replayed).toEqual(first);
  const other = issue('Another');
  const clash = await post(house, github, other, signedByGithub(other, github.secret, { id: 'first' }));
  expect(clash.status).toBe(422);
  expect(await tasksOf(house, github)).toHaveLength(1);
  const next = await post(house, github, other, signedByGithub(other, github.secret, { id: 'third' }));
  expect(next.status).toBe(202);
  expect(await tasksOf(house, github)).toHaveLength(2);
});

test('41: it is bounded in size and in number, and a flood of one hook leaves the others alone', async () => {
  const large = issue('x'.repeat(1_100_000));
  expect((await post(house, hook, large, signed(large, hook.secret))).status).toBe(413);
  const body = issue('Of a flood');
  const statuses: number[] = [];
  for (let count = 0; count < 150 && statuses.at(-1) !== 429; count++)
    statuses.push((await post(house, hook, body, {})).status);
  expect(statuses.at(-1)).toBe(429);
  const rows = await house.database.many<{ times: number }>(
    sql`SELECT times FROM hook_deliveries WHERE hook_id = ${hook.id} AND reason LIKE 'it lacks%'`,
  );
  expect(rows.length).toBeLessThanOrEqual(3);
  // At the same address neither people with keys nor other hooks are touched by it.
  const other = issue('In the flood');
  expect((await post(house, github, other, signedByGithub(other, github.secret))).status).toBe(202);
  expect((await house.fetch('/hooks')).status).toBe(200);
});
