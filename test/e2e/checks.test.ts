import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  finish,
  House,
  honest,
  mendedSum,
  shell,
  sumProject,
  type Turn,
  toDelivery,
  toWork,
  write,
} from './house.ts';

let house: House;
beforeAll(async () => {
  house = await House.open({ redRounds: 1 });
});
afterAll(() => house[Symbol.asyncDispose]());

/** Given, so that most of these do without npm. */
const checks = ['node --test'];
const fakedPackage = (sumProject['package.json'] ?? '').replace('node --test', 'exit 0');

/** Neither the task nor anything else says that it is done; a named person is asked, until a deadline. */
async function expectHeldBack(taskId: string, runId: string) {
  const { run, ask } = await house.rest(runId);
  expect(run).toMatchObject({
    status: 'waiting',
    waiting: { on: 'ask', ref: ask?.id, owner: 'owner', atDeadline: 'deny' },
  });
  expect(ask).toMatchObject({
    status: 'open',
    owner: 'owner',
    defaultDecision: 'deny',
    deadline: run.waiting?.deadline,
  });
  expect(Date.parse(ask?.deadline ?? '')).toBeGreaterThan(Date.now());
  expect((await house.task(taskId)).status).toBe('in_progress');
  expect(await house.changes(taskId)).toEqual([]);
  return ask;
}

describe('green is not enough where the agent changed what green means', () => {
  const redUnderTheBase = 'fail under the original tests and check files';

  test.concurrent('an agent that replaces the test script is held back, and passes once it mends the cause', async () => {
    const again: Turn = {
      contains: ['this is no mending'],
      calls: [['write_file', { path: 'src/sum.js', content: mendedSum }]],
    };
    const turns = [...toWork, write('package.json', fakedPackage), ...toDelivery, again, ...toDelivery];
    const { task, run } = await house.start(turns);
    const ask = await expectHeldBack(task.id, run.id);
    expect(ask?.question).toContain('package.json (modified)');
    expect(ask?.question).toContain(redUnderTheBase);
    await house.decide(ask, { decision: 'deny', answer: 'this is no mending' });
    expect((await house.rest(run.id)).run).toMatchObject({ status: 'succeeded' });
    const [change] = await house.changes(task.id);
    const pinnedChanges = [{ path: 'package.json' }];
    expect(change?.receipt).toMatchObject({ verdict: 'passed', needsHuman: true, pinnedChanges });
  });

  test.concurrent('an agent that deletes the failing test is held back; who accepts that stands on the receipt', async () => {
    const turns = [...toWork, shell('rm test/sum.test.js'), ...toDelivery];
    const { task, run } = await house.start(turns, { checks });
    const ask = await expectHeldBack(task.id, run.id);
    expect(ask?.question).toContain('test/sum.test.js (deleted)');
    expect(ask?.question).toContain(redUnderTheBase);
    await house.decide(ask, { decision: 'approve' });
    expect((await house.rest(run.id)).run.status).toBe('succeeded');
    const [change] = await house.changes(task.id);
    expect(change?.receipt).toMatchObject({
      verdict: 'accepted_by_human',
      needsHuman: true,
      acceptedBy: 'owner',
    });
  });

  test.concurrent.each<[string, string]>([
    ['skips the failing test', "sed -i 's/^test(/test.skip(/' test/sum.test.js"],
    ['renames the failing test out of sight', 'mkdir docs && git mv test/sum.test.js docs/sum.js'],
  ])('an agent that %s is held back', async (_name, cheat) => {
    const { task, run } = await house.start([...toWork, shell(cheat), ...toDelivery], { checks });
    const ask = await expectHeldBack(task.id, run.id);
    expect(ask?.question).toContain('test/sum.test.js');
    expect(ask?.question).toContain(redUnderTheBase);
  });
});

describe('what is not there is not delivered', () => {
  const again = (reason: string): Turn[] => [{ ...finish, contains: [reason] }, finish, finish];
  test.concurrent.each<[string, Turn[], string]>([
    ['commits nothing', [finish, finish, finish], 'Nothing was committed'],
    [
      'leaves its work uncommitted',
      [write('src/sum.js', mendedSum), finish, finish, finish],
      'not committed',
    ],
    ['commits what is red', [write('README.md', '# More\n'), ...toDelivery], 'A check is red'],
  ])('an agent that %s is told why, and then a person is', async (_name, work, reason) => {
    const { task, run } = await house.start([...toWork, ...work, ...again(reason)], { checks });
    const ask = await expectHeldBack(task.id, run.id);
    expect(ask?.question).toContain('came back 2 times');
    expect(ask?.question).toContain(reason);
    const guidance = (await house.steps(run.id)).filter((step) => step.kind === 'guidance');
    expect(guidance.map((step) => step.intent)).toEqual([
      expect.objectContaining({
        from: 'control-plane',
        phase: 'implement',
        text: expect.stringContaining(reason),
      }),
    ]);
    await house.decide(ask, { decision: 'deny', answer: 'enough' });
    expect((await house.rest(run.id)).run).toMatchObject({
      status: 'failed',
      outcome: expect.stringContaining('enough'),
    });
    expect((await house.task(task.id)).status).toBe('failed');
  });
});

test.concurrent('the honest twin is in review with its receipt', async () => {
  const added = write(
    'test/empty.test.js',
    "import assert from 'node:assert/strict';\nimport { test } from 'node:test';\nimport { sum } from '../src/sum.js';\ntest('of nothing', () => assert.equal(sum([]), 0));\n",
  );
  const { task, run } = await house.start([...honest.slice(0, 4), added, ...honest.slice(4)], { checks });
  expect((await house.rest(run.id)).run).toMatchObject({
    status: 'succeeded',
    recording: true,
  });
  const [change] = await house.changes(task.id);
  expect(await house.task(task.id)).toMatchObject({
    status: 'in_review',
    waiting: { on: 'review', ref: change?.id },
  });
  expect(change).toMatchObject({ status: 'ready', title: 'Mend the sum', targetBranch: 'main' });
  expect(change?.receipt).toMatchObject({
    verdict: 'passed',
    needsHuman: false,
    pinnedChanges: [],
    base: change?.baseCommit,
    commit: change?.commit,
  });
  expect(change?.receipt.checks.map((check) => [check.where, check.command, check.outcome])).toEqual([
    ['base', 'node --test', 'failed'],
    ['change', 'node --test', 'passed'],
  ]);
});
