import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeView } from '../../contract/changes.ts';
import { type House, moving, openHouse, readMain } from './changes-house.ts';

const checks = ['ls'];
const addLine = 'echo "line $(wc -l < a.txt)" >> a.txt';
let house: House;

beforeAll(async () => {
  house = await openHouse();
  await house.start();
});
afterAll(() => house[Symbol.asyncDispose]());

/** A task done to its change; its command adds a line with each run. */
async function deliver(name: string) {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'one\n' });
  const model = await house.record(name, addLine);
  const { task, run } = await api.createTask({ instructions: 'Add a line.', repository, checks, model });
  expect((await api.awaitEnd(run.id)).status).toBe('succeeded');
  const [change] = await api.changes(task.id);
  if (change === undefined) throw new Error('there is no change');
  return { repository, task, run, change };
}

const sendBack = (id: string, comments: string) =>
  house.request('POST', `/changes/${id}/send-back`, moving, { comments });

test('a change that is sent back is worked on where it was, under the comments', async () => {
  const { api } = house.home;
  const { repository, task, run, change } = await deliver('again');
  await house.record('again', addLine, {
    first: [
      'Task: Add a line.',
      'Guidance from owner: Your change',
      'One more line, please.',
      'Phase: implement',
    ],
  });
  const sent = await sendBack(change.id, 'One more line, please.');
  expect(sent.change.status).toBe('sent_back');
  expect(sent.change.sentBack).toMatchObject({ by: 'owner', comments: 'One more line, please.' });
  expect(sent.run.id).not.toBe(run.id);
  expect((await api.awaitEnd(sent.run.id)).outcome).toContain('has passed its checks');

  const steps = await api.steps(sent.run.id);
  const guidance = steps.find((step) => step.kind === 'guidance');
  expect(guidance?.intent).toMatchObject({ from: 'owner', phase: 'implement' });
  expect(JSON.stringify(guidance?.intent)).toContain('One more line, please.');
  expect(JSON.stringify(guidance?.intent)).toContain('a.txt (modified, +1 -0)');
  // To deliver what was sent back, unchanged, is no answer to it.
  expect(JSON.stringify(steps)).toContain('Nothing was committed since the change was sent back');

  const [second, first] = await api.changes(task.id);
  expect(first?.id).toBe(change.id);
  expect(second).toMatchObject({ status: 'ready', supersedes: change.id, baseCommit: change.baseCommit });
  expect((await api.task(task.id)).status).toBe('in_review');
  const events = (await api.eventsUntilNow()).filter((event) => event.taskid === task.id);
  const statuses = events
    .filter((event) => event.type === 'task.updated')
    .map((event) => event.data['status']);
  expect(statuses).toEqual(['in_progress', 'in_review', 'pending', 'in_progress', 'in_review']);

  await api.merge(second?.id ?? '');
  await api.awaitEvent((event) => event.type === 'task.completed' && event.taskid === task.id);
  expect(await readMain(repository, 'a.txt')).toBe('one\nline 1\nline 2');
});

test('of two who send the same change back at once one is heard; the same words twice are one', async () => {
  const { api } = house.home;
  const { task, change } = await deliver('twice');
  const command = 'echo more >> a.txt';
  await house.record('twice', command, { contains: ['what never comes'] });
  const answers = await Promise.allSettled(
    ['Shorter.', 'Longer.', 'Shorter.', 'Longer.'].map((comments) => sendBack(change.id, comments)),
  );
  const runs = new Set(
    answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.run.id] : [])),
  );
  expect(runs.size).toBe(1);
  expect(answers.filter((answer) => answer.status === 'rejected')).toHaveLength(2);
  const [runId = ''] = runs;
  // The work on it fails: the change is no dead end, it can be sent back again.
  expect(await api.awaitEnd(runId)).toMatchObject({ status: 'failed' });
  expect((await api.task(task.id)).status).toBe('failed');
  await house.record('twice', command);
  const again = await Promise.all([sendBack(change.id, 'Shorter.'), sendBack(change.id, 'Shorter.')]);
  expect(again[0].run.id).toBe(again[1].run.id);
  expect(await api.awaitEnd(again[0].run.id)).toMatchObject({ status: 'succeeded' });
  await expect(sendBack(change.id, 'Longer.')).rejects.toThrow('wrong_state');
  expect(await api.runs(task.id)).toHaveLength(3);
  await expect(house.request('POST', `/changes/${change.id}/merge`, moving, {})).rejects.toThrow(
    'wrong_state',
  );
  expect((await house.request('GET', `/changes/${change.id}`, changeView)).status).toBe('sent_back');
});
