import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { mission } from '../mission.ts';
import { makeHome, type TestHome, until } from '../start-app.ts';

const execute = promisify(execFile);

const task = (home: TestHome, check = 'true') => ({
  instructions: 'Ask what to do.',
  repository: home.repository,
  checks: [check],
  model: 'recorded/questions',
});

const filesOf = async (folder: string) => readdir(folder, { recursive: true });
const asked = (home: TestHome, run: string) =>
  home.api.awaitEvent(({ type, runid }) => type === 'ask.opened' && runid === run, 60_000);

test('a full disk: runs wait by name, reading and stopping work, and with room they go on by themselves', async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome();
  const artifacts = join(home.path, 'artifacts');
  await mkdir(artifacts);
  await execute('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', artifacts]);
  await using mounted = new AsyncDisposableStack();
  mounted.defer(async () => void (await execute('umount', ['--lazy', artifacts])));
  await using _server = await home.start({ env: { DATABASE_URL: database.connectionString } });

  const { run } = await home.api.createTask(task(home, 'seq 1 20000'));
  const other = await home.api.createTask(task(home, 'seq 1 20000'));
  for (const { id } of [run, other.run]) {
    const { data } = await home.api.awaitEvent(({ type, runid }) => type === 'run.waiting' && runid === id);
    expect(data['waiting']).toMatchObject({ on: 'blocker', owner: 'operators', atDeadline: 'retry' });
    expect(JSON.stringify(data)).toContain('is full: free some space');
  }
  await home.api.awaitEvent(({ type }) => type === 'disk.full');
  expect((await mission(home.path, ['status'])).stdout).toContain('is full: free some space');
  await home.api.control(other.run.id, 'stop');
  expect(await home.api.awaitEnd(other.run.id)).toMatchObject({ status: 'stopped' });
  expect((await filesOf(artifacts)).filter((name) => name.includes('/'))).toEqual([]);

  await execute('mount', ['-o', 'remount,size=64m', artifacts]);
  await asked(home, run.id);
  const checks = (await home.api.steps(run.id)).filter(({ kind }) => kind === 'check');
  expect(checks.map(({ status }) => status)).toEqual(['done']);
});

test('what is over goes at the next start; what a live run needs stays', async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome({ disk: { workspaceDays: 0, artifactDays: 0 } });
  const env = { DATABASE_URL: database.connectionString };
  const folders = () => readdir(join(home.path, 'runs'));
  let live = '';
  let over = '';
  {
    await using server = await home.start({ env });
    live = (await home.api.createTask(task(home))).run.id;
    over = (await home.api.createTask(task(home))).run.id;
    await Promise.all([asked(home, live), asked(home, over)]);
    await home.api.control(over, 'stop');
    await home.api.awaitEnd(over);
    await server.stop();
  }
  await mkdir(join(home.path, 'runs', '.removing-run_half'));
  expect(await folders()).toContain(over);
  await using server = await home.start({ env });
  await server.awaitLog('what is no longer needed was removed');
  expect(await folders()).toEqual([live]);
  const contents = (await filesOf(join(home.path, 'artifacts'))).filter((name) => name.includes('/'));
  expect(contents).not.toEqual([]);
  expect((await mission(home.path, ['doctor'])).stdout).toMatch(/disk use.*runs \d/);
  const [ask] = await home.api.asks('open');
  await home.api.decide(ask?.id ?? '', 'answer', 'yes');
  await home.api.awaitEvent(({ type, runid }) => type === 'run.claimed' && runid === live);
  await until(async () => ((await home.api.run(live)).status !== 'queued' ? true : undefined), 'it goes on');
  expect((await home.api.run(live)).status).not.toBe('failed');
});
