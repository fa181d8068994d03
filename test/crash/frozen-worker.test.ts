import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../server/database/test-database.ts';
import { findBrokenLink } from '../../server/events/verify.ts';
import { git } from '../small-repository.ts';
import { makeHome, type ServerProcess, type TestHome, until } from '../start-app.ts';

/** Whole servers are started, on a machine that may be doing other things. */
const limitMs = 120_000;

interface House {
  test: TestDatabase;
  home: TestHome;
  /** For every process of the house: one with the API alone, and workers. */
  env: Record<string, string>;
}

async function openHouse(stack: AsyncDisposableStack): Promise<House> {
  const database = stack.use(await createTestDatabase());
  const home = stack.use(await makeHome());
  return { test: database, home, env: { DATABASE_URL: database.connectionString } };
}

const order = (home: TestHome) =>
  home.api.createTask({
    instructions: 'Mend the greeting',
    repository: home.repository,
    model: 'recorded/slow-command',
    checks: ['sh check.sh'],
  });

/** The marks that the commands left, as they stand in the change. */
async function readMarks({ home, test: { database } }: House): Promise<string> {
  const change = await database.one<{ id: string }>(sql`SELECT id FROM changes`);
  await home.api.merge(change.id);
  await home.api.awaitEvent((event) => event.type === 'change.merged');
  return git(home.repository, 'show', 'main:marks.txt');
}

async function expectOneOutcome(house: House, runId: string): Promise<void> {
  const { database } = house.test;
  expect(await readMarks(house)).toBe('began\nended\nlate');
  const twice = await database.many(
    sql`SELECT intent ->> 'callId' FROM steps WHERE run_id = ${runId} AND kind = 'tool' AND status <> 'in_doubt'
        GROUP BY 1, intent ->> 'modelSeq' HAVING count(*) > 1`,
  );
  expect(twice).toEqual([]);
  expect(await database.one(sql`SELECT count(*) FROM changes`)).toEqual({ count: 1 });
  expect(await findBrokenLink(database)).toBeNull();
}

async function awaitState(pid: number, state: string): Promise<void> {
  await until(async () => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith(state) ? true : undefined;
  }, `process ${pid} is in state ${state}`);
}

async function thaw(server: ServerProcess): Promise<void> {
  server.kill('SIGCONT');
  await server.awaitLog('the lease was lost; nothing further is started here');
}

test('a worker frozen in the middle of a command loses it, and what it writes when it thaws is refused', {
  timeout: limitMs,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const house = await openHouse(stack);
  const { home, env } = house;
  // The first process is the one that numbers the log: that falls to another as well.
  const frozen = await home.start({ roles: 'worker', env });
  await home.start({ roles: 'api', env });
  const { run } = await order(home);
  await until(async () => frozen.commands('sleep 2.75')[0], 'the command runs');
  frozen.kill('SIGSTOP');
  await awaitState(frozen.pid, 'T');

  await home.start({ roles: 'worker', env });
  await home.api.awaitEvent((event) => event.type === 'run.lease_expired');
  // Its new holder ends the command before anything of the run starts, though the old holder cannot.
  await until(
    async () => (frozen.commands('sleep 2.75').length === 0 ? true : undefined),
    'the frozen command is ended',
  );
  expect((await home.api.awaitEnd(run.id)).status).toBe('succeeded');
  await thaw(frozen);
  await expectOneOutcome(house, run.id);
  expect((await frozen.stop()).code).toBe(0);
});

test('a worker frozen just before a command starts does not start it when it thaws', {
  timeout: limitMs,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const house = await openHouse(stack);
  const { home, env } = house;
  await home.start({ roles: 'api', env });
  const frozen = await home.start({
    roles: 'worker',
    env: { ...env, MISSION_FREEZE_AT: 'tool:run_command:before#2' },
  });
  const { run } = await order(home);
  await awaitState(frozen.pid, 'T');

  await home.start({ roles: 'worker', env });
  expect((await home.api.awaitEnd(run.id)).status).toBe('succeeded');
  await thaw(frozen);
  await expectOneOutcome(house, run.id);
  const { database } = house.test;
  const tokens = await database.many<{ token: number }>(
    sql`SELECT DISTINCT lease_token AS token FROM steps WHERE run_id = ${run.id} ORDER BY 1`,
  );
  // Each holder wrote under its own token; the old one's never follows the new one's.
  const ordered = await database.many<{ token: number }>(
    sql`SELECT lease_token AS token FROM steps WHERE run_id = ${run.id} ORDER BY seq`,
  );
  expect(tokens.length).toBe(2);
  expect(ordered.map(({ token }) => token)).toEqual(ordered.map(({ token }) => token).sort((a, b) => a - b));
});

test('a worker frozen with its transaction open holds its rows for a few seconds only', {
  timeout: limitMs,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const house = await openHouse(stack);
  const { home, env } = house;
  await home.start({ roles: 'api', env });
  const point = 'commit:steps.intend:before#5';
  const frozen = await home.start({ roles: 'worker', env: { ...env, MISSION_FREEZE_AT: point } });
  const { run } = await order(home);
  await awaitState(frozen.pid, 'T');
  // Those of living processes are idle in a transaction for moments only.
  await until(async () => {
    const [held] = await house.test.database.many(
      sql`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'
          AND clock_timestamp() - state_change > interval '1 second'`,
    );
    return held;
  }, 'the frozen worker holds its transaction open');

  await home.start({ roles: 'worker', env });
  await home.api.awaitEvent((event) => event.type === 'run.lease_expired', 15_000);
  expect((await home.api.awaitEnd(run.id)).status).toBe('succeeded');
  frozen.kill('SIGCONT');
  expect((await frozen.stop()).code).toBe(0);
  await expectOneOutcome(house, run.id);
});
