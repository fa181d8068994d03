import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CloudEvent } from '../../contract/events.ts';
import { git } from '../small-repository.ts';
import { makeHome, type TestHome } from '../start-app.ts';

const root = join(import.meta.dirname, '..', '..');
/** Its packages are fetched, and vitest runs three times, each with a PostgreSQL of its own. */
const limitMs = 480_000;
const check = 'npx vitest run server/runs';
const addedFile = 'server/signal.test.ts';
const addedTest = `import { expect, test } from 'vitest';
import { Signal } from './signal.ts';

test('a raise while nobody waits is not lost', async () => {
  const signal = new Signal();
  signal.raise();
  await signal.wait(60_000);
  const stop = new AbortController();
  const waiting = signal.wait(60_000, stop.signal);
  stop.abort();
  expect(await waiting).toBeUndefined();
});
`;

let folder: string;
let home: TestHome;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'own-house-'));
  home = await makeHome();
});
afterAll(async () => {
  await home?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

test('Mission Control works on itself, with its own tests as the check', { timeout: limitMs }, async () => {
  const { api } = home;
  const recordings = await recordWork('own-house');
  const server = await home.start({ env: { MISSION_RECORDINGS: recordings } });
  const { task, run } = await api.createTask({
    instructions: 'Add a test of server/signal.ts beside it.',
    repository: await cloneOfThis(),
    branch: 'main',
    model: 'recorded/own-house',
    checks: [check],
  });
  const rested = await api.awaitEvent((event) => isRest(event, run.id), limitMs - 60_000);
  const ended = await api.run(run.id);
  const steps = await api.steps(run.id);
  const results = () => JSON.stringify({ rested, steps: steps.map((step) => [step.name, step.result]) });
  expect(ended.status, results()).toBe('succeeded');

  const prepare = steps.find((step) => step.kind === 'phase' && step.name === 'prepare');
  expect(prepare?.result).toMatchObject({ setupCommands: ['npm ci --no-audit --no-fund'], checks: [check] });
  const [change] = await api.changes(task.id);
  expect(await api.task(task.id)).toMatchObject({ status: 'in_review' });
  expect(change?.receipt).toMatchObject({ verdict: 'passed', needsHuman: false, pinnedChanges: [] });
  expect(change?.receipt.checks.map((one) => [one.where, one.command, one.outcome])).toEqual([
    ['base', check, 'passed'],
    ['change', check, 'passed'],
  ]);
  expect(change?.receipt.checks.at(-1)?.excerpt).toMatch(/Tests +\d+ passed/);
  await server.stop();
});

/**
 * What is in this checkout now, committed or not, as a bare repository of one commit: CI's checkouts may be
 * shallow, and of those no run can make a copy.
 */
async function cloneOfThis(): Promise<string> {
  const bare = join(folder, 'mission-control.git');
  await git(folder, 'init', '--quiet', '--bare', '--initial-branch=main', bare);
  const here = ['--git-dir', bare, '--work-tree', root];
  await git(root, ...here, 'add', '--all');
  await git(root, ...here, 'commit', '--quiet', '--message=as it is');
  return bare;
}

async function recordWork(name: string): Promise<string> {
  const recordings = join(folder, 'recordings');
  await mkdir(recordings, { recursive: true });
  const call = (tool: string, input: Record<string, unknown>) => ({ name: tool, input });
  const finish = call('finish_phase', {
    summary: 'done',
    title: 'Test the signal',
    description: 'It had no test of its own.',
  });
  const turns: { contains?: string[]; calls: ReturnType<typeof call>[] }[] = [
    { calls: [call('read_file', { path: 'server/signal.ts' })] },
    { contains: ['A level that callers raise'], calls: [finish] },
    { calls: [finish] },
    { calls: [finish] },
    { calls: [call('write_file', { path: addedFile, content: addedTest })] },
    { calls: [call('run_command', { command: `npx vitest run ${addedFile}`, timeout_seconds: 300 })] },
    { contains: ['1 passed'], calls: [call('git_commit', { message: 'Test the signal' })] },
    { calls: [finish] },
    { calls: [finish] },
    { calls: [finish] },
  ];
  const header = { recording: 1, title: name, model: `recorded/${name}`, source: 'written by hand' };
  const lines = turns.map(({ contains = [], calls }, turn) => ({
    turn,
    expect: { contains },
    answer: { text: '', toolCalls: calls },
  }));
  await writeFile(
    join(recordings, `${name}.jsonl`),
    `${[header, ...lines].map((line) => JSON.stringify(line)).join('\n')}\n`,
  );
  return recordings;
}

/** Its end, or that it waits for a person: nobody is there in this test. */
function isRest({ type, runid, data }: CloudEvent, run: string): boolean {
  if (runid !== run) return false;
  if (['run.succeeded', 'run.failed', 'run.stopped'].includes(type)) return true;
  return type === 'ask.opened' || (type === 'run.waiting' && JSON.stringify(data).includes('"ask"'));
}
