import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProjectView } from '../../contract/projects.ts';
import type { TakenTask } from '../../contract/tasks.ts';
import { git, House, honest, shell, sumProject, toWork } from '../e2e/house.ts';

let house: House;
beforeAll(async () => {
  house = await House.open();
}, 60_000);
afterAll(() => house[Symbol.asyncDispose]());

test('cancelling a task stops the run of its child in the middle of a command, within five seconds', async () => {
  const { task: parent } = await house.ask<TakenTask>('POST', '/tasks', {
    instructions: 'look after the child',
    repository: house.repository(sumProject),
    assignee: null,
  });
  const { task, run } = await house.start([...toWork, shell('sleep 600')], {
    parent: parent.id,
    checks: ['true'],
  });
  for await (const { type, data } of house.follow(`run=${run.id}&after=0`, 60_000))
    if (type === 'step.intended' && data['name'] === 'run_command') break;
  const began = performance.now();
  await house.ask('POST', `/tasks/${parent.id}/cancel`, { reason: 'enough' });
  const rest = await house.rest(run.id);
  expect(rest.run.status).toBe('stopped');
  expect(performance.now() - began).toBeLessThan(5_000);
  expect((await house.task(task.id)).status).toBe('cancelled');
});

test('where the project wants no review, a change that passed its checks is merged at once', async () => {
  // Bare, since a branch that somebody has checked out is not moved under their feet.
  const repository = join(house.folder, 'trusting.git');
  git(house.folder, 'clone', '-q', '--bare', house.repository(sumProject), repository);
  const project = await house.ask<ProjectView>('POST', '/projects', {
    name: 'trusting',
    repository,
    checks: ['npm test'],
    reviewRequired: false,
  });
  const { task, run } = await house.ask<TakenTask>('POST', '/tasks', {
    instructions: 'Mend the sum.',
    project: project.name,
    assignee: 'developer',
    model: house.record(honest),
  });
  expect(task.checks).toEqual(['npm test']);
  expect((await house.rest(run?.id ?? '')).run.status).toBe('succeeded');
  for await (const { type } of house.follow(`task=${task.id}&after=0`, 60_000))
    if (type === 'task.completed' || type === 'run.failed') break;
  const [change] = await house.changes(task.id);
  expect(change).toMatchObject({ status: 'merged', receipt: { verdict: 'passed', acceptedBy: null } });
  expect((await house.task(task.id)).status).toBe('completed');
});
