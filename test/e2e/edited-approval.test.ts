import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AskView, askView } from '../../contract/asks.ts';
import { sql } from '../../server/database/sql.ts';
import { type House, openHouse } from './changes-house.ts';

const policy = [
  { effect: 'allow', tool: '*', touches: 'read' },
  { effect: 'allow', tool: 'git_commit' },
  { effect: 'ask', tool: 'run_command' },
  { effect: 'deny', tool: 'run_command', pattern: 'rm *' },
];
let house: House;

beforeAll(async () => {
  house = await openHouse();
  await house.start();
  await house.store.database.many(
    sql`UPDATE agents SET policy = ${JSON.stringify(policy)}::jsonb WHERE name = 'developer'`,
  );
});
afterAll(() => house[Symbol.asyncDispose]());

const decide = (ask: AskView, body: Record<string, unknown>) =>
  house.request('POST', `/asks/${ask.id}/decide`, askView, {
    decision: 'approve',
    actionHash: ask.actionHash,
    ...body,
  });

async function begin(name: string, contains: string[]) {
  const repository = await house.repository({ 'a.txt': 'one\n' });
  const model = await house.record(name, 'echo wrong > a.txt', { contains });
  const { task, run } = await house.home.api.createTask({
    instructions: name,
    repository,
    checks: ['ls'],
    model,
  });
  return { task, runId: run.id };
}

/** The run's open ask, after so many before it. */
async function awaitAsk(runId: string, before: number): Promise<AskView> {
  let seen = 0;
  const opened = await house.home.api.awaitEvent((event) => {
    if (event.type === 'ask.opened' && event.runid === runId) seen += 1;
    return seen > before;
  });
  return house.request('GET', `/asks/${opened.subject.slice('ask/'.length)}`, askView);
}

test('what a person puts in the place of the arguments runs, once, and the model is told', async () => {
  const { api } = house.home;
  const { task, runId } = await begin('lea', [
    'A person (owner) changed the arguments to {"command":"echo right',
    'exit status 0',
  ]);
  const ask = await awaitAsk(runId, 0);
  expect(ask.detail).toMatchObject({ tool: 'run_command', input: { command: 'echo wrong > a.txt' } });
  const input = { command: 'echo right > a.txt' };
  await expect(decide(ask, { decision: 'deny', input })).rejects.toThrow('leave out `input`');
  await expect(decide(ask, { actionHash: 'another', input })).rejects.toThrow('another action');
  expect(await decide(ask, { input: { comand: 'x' } })).toMatchObject({ input: { comand: 'x' } });

  // They do not fit the tool, so the person is told and asked again.
  const again = await awaitAsk(runId, 1);
  expect(again.question).toContain('The changed arguments cannot be used');
  expect(again.question).toContain('comand');
  const edits = ['right', 'right, too'].map((word) => ({ command: `echo ${word} > a.txt` }));
  const answers = await Promise.allSettled(edits.map((edit) => decide(again, { input: edit })));
  expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const held = edits[answers.findIndex(({ status }) => status === 'fulfilled')];
  expect(await decide(again, { input: held })).toMatchObject({ status: 'decided' });

  expect(await api.awaitEnd(runId)).toMatchObject({ status: 'succeeded' });
  const calls = (await api.steps(runId)).filter(
    (step) => step.kind === 'tool' && step.name === 'run_command',
  );
  expect(calls).toHaveLength(1);
  expect(calls[0]).toMatchObject({ status: 'done', intent: { input: held, editedBy: 'owner' } });
  expect((await api.task(task.id)).status).toBe('in_review');
});

test('arguments that the policy denies are denied to a person as well', async () => {
  const { api } = house.home;
  const { runId } = await begin('max', []);
  const ask = await awaitAsk(runId, 0);
  await decide(ask, { input: { command: 'rm -rf a.txt' } });
  await api.awaitEvent((event) => event.runid === runId && event.data['name'] === 'run_command');
  const call = (await api.steps(runId)).find((step) => step.kind === 'tool' && step.name === 'run_command');
  expect(call).toMatchObject({ status: 'failed', error: { class: 'denied' }, intent: { editedBy: 'owner' } });
  await api.control(runId, 'stop');
  await api.awaitEnd(runId);
});
