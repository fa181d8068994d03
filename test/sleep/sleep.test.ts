import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pass } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeHome, readPostmaster, type TestHome } from '../start-app.ts';

const leaseMs = 1_000;

/** Parents of all living processes; one that ends meanwhile is none. */
async function readParents(): Promise<Map<number, number>> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (parent > 0) parents.set(Number(name), parent);
  }
  return parents;
}

async function familyOf(roots: number[]): Promise<number[]> {
  const parents = await readParents();
  const family = new Set(roots);
  for (let before = 0; before !== family.size; ) {
    before = family.size;
    for (const [pid, parent] of parents) if (family.has(parent)) family.add(pid);
  }
  return [...family];
}

function signal(pids: readonly number[], name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}

const task = (home: TestHome, model: string) => ({
  instructions: 'Spell it.',
  repository: home.repository,
  checks: ['sh check.sh'],
  model,
});

test('server, commands and database sleep for several leases: all goes on where it was, and nothing twice', async () => {
  await using home = await makeHome({ asks: { deadlineHours: 6 / 3_600 } });
  await using server = await home.start();
  const asking = (await home.api.createTask(task(home, 'recorded/questions'))).run.id;
  await home.api.awaitEvent(({ type, runid }) => type === 'ask.opened' && runid === asking);
  const working = (await home.api.createTask(task(home, 'recorded/steady'))).run.id;
  // In the middle of a command.
  await home.api.awaitEvent(
    ({ type, runid, data }) =>
      type === 'step.intended' && runid === working && data['name'] === 'run_command',
  );
  const pids = await familyOf([server.pid, (await readPostmaster(home.path)) ?? server.pid]);
  expect(pids.length).toBeGreaterThan(5);
  signal(pids, 'SIGSTOP');
  await pass(7 * leaseMs);
  signal(pids, 'SIGCONT');

  expect(await home.api.awaitEnd(working, 90_000)).toMatchObject({ status: 'succeeded' });
  const events = await home.api.eventsUntilNow();
  const ofAsk = events.filter(({ type, runid }) => type === 'ask.expired' && runid === asking);
  expect(ofAsk).toHaveLength(1);
  const steps = await home.api.steps(working);
  const calls = steps.filter(({ kind, status }) => kind === 'tool' && status === 'done');
  const marks = calls.flatMap(({ intent }) => JSON.stringify(intent).match(/echo step \d/g) ?? []);
  expect(marks).toEqual([1, 2, 3, 4, 5, 6, 7].map((count) => `echo step ${count}`));
  expect(await server.stop()).toMatchObject({ code: 0 });
});
