import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeView } from '../../contract/changes.ts';
import { git } from '../small-repository.ts';
import type { ServerProcess } from '../start-app.ts';
import { type House, moving, openHouse, readMain } from './changes-house.ts';

let house: House;
let folder: string;
let server: ServerProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'revert-'));
  house = await openHouse();
  server = await house.start();
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const revert = (id: string) => house.request('POST', `/changes/${id}/revert`, moving, {});
const show = (id: string) => house.request('GET', `/changes/${id}`, changeView);

/** A task done and merged: it changes the first line and adds a file. */
async function mergeOne(name: string, repository: string, checks = ['ls']) {
  const { api } = house.home;
  const model = await house.record(name, `sed -i '1s/.*/${name}/' a.txt && echo ${name} > added.txt`);
  const { task, run } = await api.createTask({ instructions: name, repository, checks, model });
  await api.awaitEnd(run.id);
  const [change] = await api.changes(task.id);
  if (change === undefined) throw new Error('there is no change');
  await api.merge(change.id);
  await api.awaitEvent((event) => event.type === 'task.completed' && event.taskid === task.id);
  return { task, change };
}

/** Somebody's own commit on main of a bare repository. */
async function pushFile(repository: string, path: string, content: string) {
  const work = await mkdtemp(join(folder, 'clone-'));
  await git(folder, 'clone', '--quiet', repository, work);
  await writeFile(join(work, path), content);
  await git(work, 'add', '--all');
  await git(work, 'commit', '--quiet', `--message=change ${path}`);
  await git(work, 'push', '--quiet', 'origin', 'main');
}

test('a merged change is taken out of its branch again, once, whoever asks how often', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'one\ntwo\nthree\nfour\n' });
  const { task, change } = await mergeOne('gus', repository);
  // What came after it stays.
  await pushFile(repository, 'a.txt', 'gus\ntwo\nthree\nlast\n');
  const before = await git(repository, 'rev-parse', 'main');
  const asked = await Promise.all([revert(change.id), revert(change.id), revert(change.id)]);
  expect(new Set(asked.map(({ run }) => run.id)).size).toBe(1);
  const run = await api.awaitEnd(asked[0]?.run.id ?? '');
  expect(run).toMatchObject({ kind: 'revert', status: 'succeeded' });
  expect(await readMain(repository, 'a.txt')).toBe('one\ntwo\nthree\nlast');
  expect(await git(repository, 'ls-tree', '--name-only', 'main')).not.toContain('added.txt');
  expect(await git(repository, 'rev-parse', 'main~1')).toBe(before);
  expect(await git(repository, 'log', '-1', '--format=%s', 'main')).toBe('Revert "gus at work"');
  const reverted = await show(change.id);
  expect(reverted.status).toBe('reverted');
  expect(reverted.revertCommit).toBe(await git(repository, 'rev-parse', 'main'));
  expect((await api.task(task.id)).status).toBe('completed');
  const told = (await api.eventsUntilNow()).filter((event) => event.subject === `task/${task.id}`);
  expect(told.at(-1)?.data).toMatchObject({ status: 'completed', reason: 'its change was reverted' });
  await expect(revert(change.id)).rejects.toThrow('the change is reverted');
});

test('a revert is refused where later work stands on it, and where the checks need it', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'one\ntwo\n' });
  const { change } = await mergeOne('hal', repository);
  await pushFile(repository, 'a.txt', 'hal and more\ntwo\n');
  const refused = await api.awaitEnd((await revert(change.id)).run.id);
  expect(refused).toMatchObject({ status: 'failed' });
  expect(refused.outcome).toContain('a.txt');
  expect((await show(change.id)).status).toBe('merged');

  const other = await house.repository({
    'a.txt': 'one\n',
    'need.sh': 'test -f added.txt || test ! -f needed\n',
  });
  const needed = await mergeOne('ida', other, ['sh need.sh']);
  await pushFile(other, 'needed', 'yes\n');
  const red = await api.awaitEnd((await revert(needed.change.id)).run.id);
  expect(red).toMatchObject({ status: 'failed' });
  expect(red.outcome).toContain('the checks of main are red');
});

test('a branch that somebody works on is not moved: the revert lies beside it, and is recorded afterwards', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'one\n' });
  const { change } = await mergeOne('jan', repository);
  await git(repository, 'worktree', 'add', '--quiet', join(folder, 'tree'), 'main');
  const refused = await api.awaitEnd((await revert(change.id)).run.id);
  expect(refused).toMatchObject({ status: 'failed' });
  const [, branch = ''] = /merge --ff-only (mission\/\S+)/.exec(refused.outcome ?? '') ?? [];
  await git(join(folder, 'tree'), 'merge', '--quiet', '--ff-only', branch);
  expect(await api.awaitEnd((await revert(change.id)).run.id)).toMatchObject({ status: 'succeeded' });
  expect((await show(change.id)).status).toBe('reverted');
  expect(await readMain(repository, 'a.txt')).toBe('one');
});

test.each([
  // The move is done and its result is not written; the result is written and the end is not.
  'commit:steps.complete:before#2',
  'commit:runs.end:before#1',
])('killed at %s, when the branch has moved, it is reverted once', async (point) => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'one\n' });
  const { change } = await mergeOne(`kim${point.at(-1)}`, repository);
  const before = await git(repository, 'rev-parse', 'main');
  await server.stop();
  server = await house.start({ env: { MISSION_CRASH_AT: point } });
  const { run } = await revert(change.id);
  expect(await server.exit).toMatchObject({ signal: 'SIGKILL' });
  const moved = await git(repository, 'rev-parse', 'main');
  expect(await git(repository, 'rev-parse', 'main~1')).toBe(before);
  server = await house.start();
  expect(await api.awaitEnd(run.id)).toMatchObject({ status: 'succeeded' });
  expect(await git(repository, 'rev-parse', 'main')).toBe(moved);
  expect(await show(change.id)).toMatchObject({ status: 'reverted', revertCommit: moved });
  const moves = (await api.steps(run.id)).filter(({ kind }) => kind === 'tool');
  expect(moves.map(({ status }) => status)).toEqual(['done']);
});
