import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChangeView } from '../../contract/changes.ts';
import type { RunView } from '../../contract/runs.ts';
import type { Problem } from '../../contract/system.ts';
import { commitFiles, git, House, honest, mendedSum, sumProject } from './house.ts';

let house: House;
beforeAll(async () => {
  house = await House.open();
});
afterAll(() => house[Symbol.asyncDispose]());

/** A ready change on `main` of a repository in which `main` is not checked out. */
async function makeChange() {
  const repository = house.repository(sumProject);
  git(repository, 'checkout', '-q', '-b', 'elsewhere');
  const { task, run } = await house.start(honest, { repository, branch: 'main', checks: ['node --test'] });
  const { run: ended } = await house.rest(run.id);
  expect([ended.status, ended.outcome]).toEqual(['succeeded', expect.anything()]);
  const [change] = await house.changes(task.id);
  if (change === undefined) throw new Error('there is no change');
  return { repository, task, change, tip: () => git(repository, 'rev-parse', 'main') };
}
const request = (change: ChangeView) =>
  house.ask<{ run: RunView } & Problem>('POST', `/changes/${change.id}/merge`);
async function merge(change: ChangeView): Promise<RunView> {
  const { run } = await request(change);
  return (await house.rest(run.id)).run;
}
const read = (change: ChangeView) => house.ask<ChangeView>('GET', `/changes/${change.id}`);
/** Somebody else's commit on `main`. */
function moveMain(repository: string, files: Record<string, string>): string {
  git(repository, 'checkout', '-q', 'main');
  const commit = commitFiles(repository, files);
  git(repository, 'checkout', '-q', 'elsewhere');
  return commit;
}

test.concurrent('onto the base that was checked the branch moves to the very commit; asked for twice, once', async () => {
  const { task, change, tip } = await makeChange();
  const [first, second] = await Promise.all([request(change), request(change)]);
  expect(second.run.id).toBe(first.run.id);
  expect((await house.rest(first.run.id)).run.status).toBe('succeeded');
  expect(tip()).toBe(change.commit);
  expect(await read(change)).toMatchObject({ status: 'merged', mergedCommit: change.commit });
  expect((await house.task(task.id)).status).toBe('completed');
  expect(await request(change)).toMatchObject({ code: 'wrong_state', status: 409 });
});

test.concurrent('where the base has moved, the merge is checked before the branch moves to it', async () => {
  const { repository, change, tip } = await makeChange();
  const theirs = moveMain(repository, { 'docs/a.md': 'a\n' });
  const run = await merge(change);
  expect([run.status, run.outcome]).toEqual(['succeeded', expect.stringContaining('merged')]);
  expect(git(repository, 'rev-parse', 'main^1', 'main^2').split('\n')).toEqual([theirs, change.commit]);
  expect(git(repository, 'show', 'main:docs/a.md', 'main:src/sum.js')).toBe(`a\n${mendedSum}`.trim());
  const checked = (await house.steps(run.id)).flatMap((step) =>
    step.kind === 'check' && step.intent.where !== 'setup' ? [[step.intent.commit, step.status]] : [],
  );
  expect(checked).toEqual([[tip(), 'done']]);
});

test.concurrent('what would be red on the branch as it is now is not merged', async () => {
  const { repository, task, change, tip } = await makeChange();
  const theirs = moveMain(repository, {
    'test/minus.test.js':
      "import assert from 'node:assert/strict';\nimport { test } from 'node:test';\nimport { sum } from '../src/sum.js';\ntest('subtracts', () => assert.equal(sum([1, 2]), -3));\n",
  });
  const run = await merge(change);
  expect(run.outcome).toContain('the checks are red');
  expect(run.status).not.toBe('succeeded');
  expect(tip()).toBe(theirs);
  expect((await read(change)).status).not.toBe('merged');
  expect((await house.task(task.id)).status).not.toBe('completed');
});

test.concurrent('a conflict names its files and moves nothing', async () => {
  const { repository, change, tip } = await makeChange();
  const theirs = moveMain(repository, { 'src/sum.js': 'export const sum = () => 0;\n' });
  const run = await merge(change);
  expect(run.outcome).toContain('src/sum.js');
  expect(run.status).not.toBe('succeeded');
  expect(tip()).toBe(theirs);
  expect((await read(change)).status).not.toBe('merged');
});

test.concurrent('a branch that somebody works on is left to them, with the line to run; then the merge is recorded', async () => {
  const { repository, change, tip } = await makeChange();
  git(repository, 'checkout', '-q', 'main');
  const before = tip();
  const refused = await merge(change);
  expect(refused.status).toBe('failed');
  expect(tip()).toBe(before);
  expect(git(repository, 'status', '--porcelain')).toBe('');
  const line = /git (-C \S+ merge --ff-only mission\/\S+)/.exec(refused.outcome ?? '')?.[1] ?? '';
  git(repository, ...line.split(' '));
  expect(tip()).toBe(change.commit);
  expect((await read(change)).status).toBe('ready');
  expect((await merge(change)).status).toBe('succeeded');
  expect(await read(change)).toMatchObject({ status: 'merged', mergedCommit: change.commit });
});
