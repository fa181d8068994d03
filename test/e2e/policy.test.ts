import { appendFileSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AskView } from '../../contract/asks.ts';
import type { ToolStep } from '../../contract/steps.ts';
import { sql } from '../../server/database/sql.ts';
import { registerAgent } from '../../server/domain/principals/principals.ts';
import { finish, House, shell, type Turn, toWork } from './house.ts';

let house: House;
beforeAll(async () => {
  house = await House.open();
  await registerAgent(house.database, {
    name: 'careful',
    role: 'developer',
    prompt: 'Work.',
    model: 'recorded/none',
    playbook: 'coder',
    policy: [
      { effect: 'allow', tool: '*' },
      { effect: 'ask', tool: 'run_command', pattern: 'touch asked*' },
      { effect: 'deny', tool: 'run_command', pattern: 'rm *' },
      { effect: 'deny', tool: 'write_file', pattern: 'package.json' },
    ],
  });
});
afterAll(() => house[Symbol.asyncDispose]());

/** No checks and a question at the end, so that nothing but the calls is run. */
const start = (...turns: Turn[]) =>
  house.start([...toWork, ...turns], { agent: 'careful', checks: ['true'] });
const stopHere = (...contains: string[]): Turn => ({
  contains,
  calls: [['ask_human', { question: 'And now?' }]],
});
const callsOf = async (runId: string, status: string) =>
  (await house.steps(runId))
    .filter(
      (step): step is ToolStep =>
        step.kind === 'tool' && step.name === 'run_command' && step.status === status,
    )
    .map((step) => step.intent.input);
const expectEnd = async (runId: string, answered: AskView | null = null) => {
  const { run, ask } = await house.rest(runId, answered);
  expect([run.status, ask?.question, run.outcome]).toEqual(['waiting', 'And now?', null]);
};

test.concurrent('what is denied does not run, however it is spelt, and the model reads why', async () => {
  const denied = ['rm -r src', 'true && rm -r src', 'bash -c "rm -r src"', 'echo $(rm -r src)'];
  const { run } = await start(
    shell(denied[0] ?? ''),
    ...denied.slice(1).map((command) => shell(command, 'Denied by policy')),
    {
      contains: ['Denied by policy'],
      calls: [['write_file', { path: './src/../package.json', content: '{}' }]],
    },
    shell('ls src package.json && test -s package.json', 'Denied by policy'),
    stopHere('exit status 0', 'sum.js'),
  );
  await expectEnd(run.id);
  expect(await callsOf(run.id, 'failed')).toEqual(denied.map((command) => ({ command })));
});

test.concurrent('what was asked for runs once when it is approved, and not when it is denied or nobody answers', async () => {
  const { run } = await start(
    shell('touch asked-1; echo ran >> log'),
    shell('touch asked-2; echo ran >> log', 'exit status 0'),
    shell('touch asked-3; echo ran >> log', 'Denied by owner', 'not that one'),
    shell('ls; cat log', 'Denied by deadline'),
    stopHere('asked-1', 'exit status 0'),
  );
  const first = await house.rest(run.id);
  expect(first.ask).toMatchObject({
    kind: 'approval',
    detail: {
      tool: 'run_command',
      input: { command: 'touch asked-1; echo ran >> log' },
      folder: '/workspace',
    },
  });
  expect(await house.decide(first.ask, { decision: 'approve', actionHash: '0'.repeat(64) })).toMatchObject({
    code: 'conflict',
  });
  expect(await house.decide(first.ask, { decision: 'approve' })).toMatchObject({ status: 'decided' });
  const second = await house.rest(run.id);
  expect(second.ask?.actionHash).not.toBe(first.ask?.actionHash);
  expect(await house.decide(first.ask, { decision: 'deny' })).toMatchObject({ code: 'already_decided' });
  await house.decide(second.ask, { decision: 'deny', answer: 'not that one' });
  const third = await house.rest(run.id);
  // The deadline is now.
  await house.database.many(sql`UPDATE timers SET due_at = now() WHERE ref = ${third.ask?.id}`);
  await expectEnd(run.id, third.ask);
  expect(await house.ask<AskView>('GET', `/asks/${third.ask?.id}`)).toMatchObject({
    status: 'expired',
    decision: 'deny',
  });
  const listing = (await house.steps(run.id)).findLast(
    (step): step is ToolStep => step.kind === 'tool' && step.name === 'run_command',
  );
  expect(listing?.result?.output).toMatch(/\nasked-1\nlog\n[\s\S]*\nran$/);
  expect(listing?.result?.output).not.toContain('asked-2');
});

test.concurrent('an approval holds for the workspace that was shown, and no other', async () => {
  const { run } = await start(shell('touch asked-4'), stopHere('no longer the one that was approved'));
  const { ask } = await house.rest(run.id);
  const [readme] = globSync(join(house.folder, 'home', '**', run.id, '**', 'README.md'));
  appendFileSync(readme ?? '', 'Changed behind the back of the one who approves.\n');
  await house.decide(ask, { decision: 'approve' });
  await expectEnd(run.id);
});

test.concurrent('an agent is stopped while it waits for an answer: the ask is withdrawn, nothing runs', async () => {
  const { task, run } = await start(shell('touch asked-5'), finish);
  const { ask } = await house.rest(run.id);
  await house.ask('POST', `/runs/${run.id}/stop`);
  expect((await house.rest(run.id, ask)).run.status).toBe('stopped');
  expect((await house.task(task.id)).status).toBe('cancelled');
  expect(await house.decide(ask, { decision: 'approve' })).toMatchObject({ code: 'already_decided' });
  expect(await callsOf(run.id, 'done')).toEqual([]);
});
