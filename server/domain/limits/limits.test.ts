import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentLimits } from '../../../contract/limits.ts';
import { json, sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { operator, readRun, seedRun, waitingOn } from '../../runs/runs-fixture.ts';
import { enterCall, readLimits, setLimits, showLimits } from './limits.ts';
import { keepSurprise, readPast } from './past.ts';

let home: TestDatabase;
beforeAll(async () => {
  home = await createTestDatabase({ poolSize: 12 });
});
afterAll(() => home[Symbol.asyncDispose]());

const context = () => ({ database: home.database, now: () => Date.now() });
const limit = (agent: string, given: Partial<ReturnType<typeof agentLimits.parse>>) =>
  setLimits(context(), operator, agent, agentLimits.parse(given));
async function seed(agent: string) {
  const { runId, taskId } = await seedRun(home.database, { agent });
  const { id } = await home.database.one<{ id: string }>(
    sql`SELECT agent_id AS id FROM runs WHERE id = ${runId}`,
  );
  return { runId, taskId, agentId: id, agent };
}
const enter = (run: { runId: string; agentId: string }, ref: string, command = false) =>
  enterCall(home.database, { ...run, ref, command });

test('an agent that nobody limited has the defaults, and its calls are not counted', async () => {
  const run = await seed('free');
  expect(await readLimits(home.database, run.agentId)).toMatchObject({
    callsPerMinute: null,
    ordinary: 'ask',
  });
  expect(await enter(run, '1')).toBeNull();
  expect((await showLimits(home.database, 'free')).used.callsLastHour).toBe(0);
});

test('however many runs call at once, no more than its rate pass, and the rest learn until when', async () => {
  const runs = await Promise.all([seed('busy'), seed('busy'), seed('busy')]);
  await limit('busy', { callsPerMinute: 20, commandsPerHour: 4 });
  const [first] = runs;
  const answers = await Promise.all(
    runs.flatMap((run) => Array.from({ length: 15 }, (_, ref) => enter(run, `${ref}`, ref < 5))),
  );
  const passed = answers.filter((answer) => answer === null);
  expect(passed).toHaveLength((await showLimits(home.database, 'busy')).used.callsLastHour);
  expect(passed.length).toBeLessThanOrEqual(20);
  expect(passed.length).toBeGreaterThan(4);
  const { used } = await showLimits(home.database, 'busy');
  expect(used.commandsLastHour).toBeLessThanOrEqual(4);
  const refused = answers.find((answer) => answer?.reason.includes('calls a minute'));
  expect(refused?.until).toBeGreaterThan(Date.now());
  expect(refused?.until).toBeLessThan(Date.now() + 61_000);
  // What has passed passes again where it is begun again after a crash, and is counted once.
  const known = answers.slice(0, 15).indexOf(null);
  if (first !== undefined) expect(await enter(first, `${known}`)).toBeNull();
  expect((await showLimits(home.database, 'busy')).used.callsLastHour).toBe(passed.length);
});

test('changed limits hold at once, budget the day, and wake the runs that wait', async () => {
  const run = await seed('held');
  await home.database.many(
    sql`UPDATE runs SET status = 'waiting', waiting = ${json(waitingOn('timer'))}, wake_at = NULL WHERE id = ${run.runId}`,
  );
  const view = await limit('held', { dayUsd: 2.5, over: 'ask' });
  expect(view).toMatchObject({
    agent: 'held',
    updatedBy: operator.name,
    limits: { dayUsd: 2.5, over: 'ask' },
  });
  expect((await readRun(home.database, run.runId)).wakeAt).not.toBeNull();
  const budgets = await home.database.many<{ limit: number }>(
    sql`SELECT limit_micros AS limit FROM budgets WHERE scope = 'agent_day' AND scope_key LIKE ${`${run.agentId}/%`}`,
  );
  expect(budgets.map(({ limit: micros }) => micros)).toEqual([2_500_000]);
  await expect(limit('nobody', {})).rejects.toMatchObject({ code: 'not_found' });
});

test("an agent's past is read from its ended runs, and a surprise is told once", async () => {
  const [before, now] = [await seed('steady'), await seed('steady')];
  await home.database.many(
    sql`UPDATE runs SET status = 'succeeded', waiting = NULL, wake_at = NULL, ended_at = now() WHERE id = ${before.runId}`,
  );
  await home.database.many(
    sql`INSERT INTO steps (run_id, seq, kind, name, status, lease_token, intent, result) VALUES
          (${before.runId}, 1, 'tool', 'read_file', 'done', 1, '{}', '{"taint": [{"kind": "untrusted", "source": "example.com"}]}'),
          (${before.runId}, 2, 'tool', 'git_push', 'failed', 1, '{"callId": "2"}', NULL)`,
  );
  const past = await readPast(home.database, now);
  expect({ ...past, tools: [...past.tools], hosts: [...past.hosts] }).toEqual({
    runs: 1,
    tools: ['read_file'],
    hosts: ['example.com'],
    spentMicros: [0],
    errors: [1],
  });
  const surprise = { kind: 'tool', subject: 'git_push', reason: 'never', decision: 'ask' } as const;
  expect(await keepSurprise(home.database, now, { ...surprise, call: 'a' })).toEqual({
    call: 'a',
    isNew: true,
  });
  expect(await keepSurprise(home.database, now, { ...surprise, call: 'b' })).toEqual({
    call: 'a',
    isNew: false,
  });
  const events = await home.database.many(
    sql`SELECT FROM event_outbox WHERE type = 'agent.surprised' AND run_id = ${now.runId}`,
  );
  expect(events).toHaveLength(1);
});
