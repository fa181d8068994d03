import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { haltView } from '../../contract/system.ts';
import { git } from '../small-repository.ts';
import { type House, moving, openHouse, readMain } from './changes-house.ts';

let house: House;

beforeAll(async () => {
  // One round with its agent, then a person.
  house = await openHouse({ checks: { redRounds: 1 } });
  await house.start();
});
afterAll(() => house[Symbol.asyncDispose]());

const merge = (id: string) => house.request('POST', `/changes/${id}/merge`, moving, {});
const changesOf = (taskId: string) => house.home.api.changes(taskId);

/** Tasks at once on one repository, each done to its change. */
async function deliver(repository: string, tasks: { name: string; command: string }[], checks: string[]) {
  const { api } = house.home;
  return Promise.all(
    tasks.map(async ({ name, command }) => {
      const model = await house.record(name, command);
      const { task, run } = await api.createTask({ instructions: name, repository, checks, model });
      expect(await api.awaitEnd(run.id)).toMatchObject({ status: 'succeeded' });
      const [change] = await changesOf(task.id);
      if (change === undefined) throw new Error('there is no change');
      return { task, change };
    }),
  );
}

/** A commit of somebody's own that writes a file; no branch moves. */
async function commitOn(repository: string, parent: string, path: string, content: string) {
  await writeFile(join(repository, 'content'), content);
  const blob = await git(repository, 'hash-object', '-w', 'content');
  await git(repository, 'read-tree', parent);
  await git(repository, 'update-index', '--add', '--cacheinfo', `100644,${blob},${path}`);
  return git(repository, 'commit-tree', '-p', parent, '-m', 'meanwhile', await git(repository, 'write-tree'));
}

/** The run that goes on with a task's work, to its end. */
async function awaitRework(taskId: string, earlier: number) {
  const { api } = house.home;
  const seen = new Set<string>();
  await api.awaitEvent((event) => {
    if (event.type === 'run.succeeded' && event.taskid === taskId && event.runid !== undefined)
      seen.add(event.runid);
    return seen.size > earlier;
  });
  const [change] = await changesOf(taskId);
  if (change === undefined) throw new Error('there is no change');
  return change;
}

test('merges of one branch go one after the other; what conflicts goes back to its agent and comes again', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'one\n' });
  // The second resolves: both lines stay, without markers.
  const write = (word: string) =>
    `if grep -q '<<<<' a.txt; then grep -v '^[<=>]' a.txt > b && mv b a.txt; else echo ${word} > a.txt; fi`;
  const [first, second] = await deliver(
    repository,
    [
      { name: 'ada', command: write('ada') },
      { name: 'bob', command: write('bob') },
    ],
    ['ls'],
  );
  if (first === undefined || second === undefined) throw new Error('two tasks were given');

  // Nothing moves while everything is stopped, so the first is paused before it can begin.
  await house.request('POST', '/halt', haltView);
  const firstMerge = await merge(first.change.id);
  const secondMerge = await merge(second.change.id);
  await api.control(firstMerge.run.id, 'pause');
  await house.request('DELETE', '/halt', haltView);
  const blocked = await api.awaitEvent(
    (event) => event.type === 'run.waiting' && event.runid === secondMerge.run.id,
  );
  expect(blocked.data['waiting']).toMatchObject({
    on: 'blocker',
    ref: firstMerge.run.id,
    atDeadline: 'remind',
  });
  await expect(
    house.request('POST', `/changes/${second.change.id}/send-back`, z.unknown(), { comments: 'No.' }),
  ).rejects.toThrow('is being merged');
  await api.control(firstMerge.run.id, 'resume');
  expect(await api.awaitEnd(firstMerge.run.id)).toMatchObject({ status: 'succeeded' });
  const refused = await api.awaitEnd(secondMerge.run.id);
  expect(refused).toMatchObject({ status: 'failed' });
  expect(refused.outcome).toContain('conflicts with what main has become, in a.txt');

  const again = await awaitRework(second.task.id, 1);
  expect(again).toMatchObject({ status: 'ready', supersedes: second.change.id });
  expect(again.baseCommit).toBe(await git(repository, 'rev-parse', 'main'));
  const [, sent] = await changesOf(second.task.id);
  expect(sent?.sentBack).toMatchObject({ by: 'control-plane' });

  // Main moves under it once more: its round is used up, so a person is named.
  const quiet = again.baseCommit;
  await git(repository, 'update-ref', 'refs/heads/main', await commitOn(repository, quiet, 'a.txt', 'zoe\n'));
  const stuck = await api.awaitEnd((await merge(again.id)).run.id);
  expect(stuck.outcome).toContain('Its agent has had it back once for this');
  expect((await api.task(second.task.id)).waiting).toMatchObject({
    on: 'review',
    ref: again.id,
    owner: 'operators',
  });
  await git(repository, 'update-ref', 'refs/heads/main', quiet);
  expect(await api.awaitEnd((await merge(again.id)).run.id)).toMatchObject({ status: 'succeeded' });
  expect(await readMain(repository, 'a.txt')).toBe('ada\nbob');
  // The conflict itself is in nobody's history.
  expect(await git(repository, 'log', '--format=%s', 'main')).not.toContain('with conflicts');
});

test('a change that turns the checks red beside another goes back, and after its rounds to a person', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'one\n' });
  // Each is green alone; this agent never learns.
  const [first, second] = await deliver(
    repository,
    [
      { name: 'cyd', command: 'echo "cyd $(date +%N)" >> c.txt' },
      { name: 'dan', command: 'echo "dan $(date +%N)" >> d.txt' },
    ],
    ['sh -c "! test -f c.txt || ! test -f d.txt || grep -q peace d.txt"'],
  );
  if (first === undefined || second === undefined) throw new Error('two tasks were given');
  const ends = await Promise.all(
    [first, second].map(async ({ change }) => api.awaitEnd((await merge(change.id)).run.id)),
  );
  expect(ends.map(({ status }) => status).sort()).toEqual(['failed', 'succeeded']);
  const red = ends[0]?.status === 'failed' ? first : second;
  expect(ends.find(({ status }) => status === 'failed')?.outcome).toContain('the checks are red');
  // Its delivery is red as well: the run asks how to go on, and stands by name.
  const asked = await api.awaitEvent((event) => event.type === 'ask.opened' && event.taskid === red.task.id);
  const [ask] = (await api.asks('open')).filter(({ id }) => asked.subject === `ask/${id}`);
  expect(ask?.question).toContain('The change came back');
  const merged = await git(repository, 'ls-tree', '--name-only', 'main');
  expect(merged.includes('c.txt') && merged.includes('d.txt')).toBe(false);
});

test('changes that do not touch are merged one after the other, each with its checks', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'one\n' });
  const delivered = await deliver(
    repository,
    [
      { name: 'eve', command: 'echo eve > e.txt' },
      { name: 'fay', command: 'echo fay > f.txt' },
    ],
    ['ls'],
  );
  const runs = await Promise.all(delivered.flatMap(({ change }) => [merge(change.id), merge(change.id)]));
  const ids = [...new Set(runs.map(({ run }) => run.id))];
  expect(ids).toHaveLength(2);
  for (const id of ids) expect(await api.awaitEnd(id)).toMatchObject({ status: 'succeeded' });
  expect(await readMain(repository, 'e.txt')).toBe('eve');
  expect(await readMain(repository, 'f.txt')).toBe('fay');
});

test('a merge that was cut off in its checks goes by what its branch is then', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'one\n' });
  const [delivered] = await deliver(
    repository,
    [{ name: 'gil', command: 'echo gil > g.txt' }],
    ['sh -c "if grep -q yes slow 2> /dev/null; then sleep 300; fi"'],
  );
  if (delivered === undefined) throw new Error('a task was given');
  const move = async (content: string) => {
    const tip = await git(repository, 'rev-parse', 'main');
    await git(repository, 'update-ref', 'refs/heads/main', await commitOn(repository, tip, 'slow', content));
  };
  await move('yes\n');
  const { run } = await merge(delivered.change.id);
  await api.awaitEvent((event) => event.runid === run.id && event.data['kind'] === 'check');
  await house.request('POST', '/halt', haltView, { reason: 'the check hangs' });
  await api.awaitEvent((event) => event.type === 'run.paused' && event.runid === run.id);
  await move('no\n');
  await house.request('DELETE', '/halt', haltView);
  expect(await api.awaitEnd(run.id)).toMatchObject({ status: 'succeeded' });
  expect(await readMain(repository, 'g.txt')).toBe('gil');
  expect(await readMain(repository, 'slow')).toBe('no');
  const checks = (await api.steps(run.id)).filter(({ kind }) => kind === 'check');
  expect(checks.map(({ status }) => status)).toEqual(['in_doubt', 'done']);
});
