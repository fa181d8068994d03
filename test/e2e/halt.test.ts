import { afterAll, beforeAll, expect, test } from 'vitest';
import { haltView, statusView } from '../../contract/system.ts';
import { sql } from '../../server/database/sql.ts';
import { findBrokenLink } from '../../server/events/verify.ts';
import { mission } from '../mission.ts';
import { processesNaming, type ServerProcess } from '../start-app.ts';
import { type House, openHouse } from './changes-house.ts';

const checks = ['ls'];
const longSleep = 'sleep 614.25';
let house: House;
let api: ServerProcess;
let worker: ServerProcess;

beforeAll(async () => {
  house = await openHouse();
  await startBoth();
});
afterAll(() => house[Symbol.asyncDispose]());

/** The API and the worker in processes of their own. */
async function startBoth() {
  api = await house.start({ roles: 'api' });
  worker = await house.start({ roles: 'worker' });
}

const halt = (reason: string) => house.request('POST', '/halt', haltView, { reason });
const release = () => house.request('DELETE', '/halt', haltView);
const status = () => house.request('GET', '/status', statusView);

async function begin(name: string, command: string, misbehave: unknown[] = []) {
  const repository = await house.repository({ 'a.txt': 'one\n' });
  const model = await house.record(name, command, { misbehave });
  const { run } = await house.home.api.createTask({ instructions: name, repository, checks, model });
  return run.id;
}

test('everything stops within a second, in the middle of a command and of a model call, and goes on', async () => {
  const client = house.home.api;
  const inCommand = await begin('long', longSleep);
  const inModel = await begin('silent', 'echo two >> a.txt', [{ kind: 'hang' }]);
  const byPerson = await begin('rested', 'echo two >> a.txt');
  await client.control(byPerson, 'pause');
  await client.awaitEvent((event) => event.type === 'run.paused' && event.runid === byPerson);
  let calls = 0;
  await client.awaitEvent((event) => {
    if (event.runid === inModel && event.type === 'step.intended' && event.data['kind'] === 'model')
      calls += 1;
    return calls === 4;
  });
  await client.awaitEvent((event) => event.runid === inCommand && event.data['name'] === 'run_command');

  const [first, second] = await Promise.all([halt('fire'), halt('fire')]);
  expect(first.halted).toMatchObject({ by: 'owner', reason: 'fire' });
  expect(second).toEqual(first);
  const began = await client.awaitEvent((event) => event.type === 'halt.began');
  for (const id of [inCommand, inModel]) {
    const paused = await client.awaitEvent((event) => event.type === 'run.paused' && event.runid === id);
    expect(Date.parse(paused.time) - Date.parse(began.time)).toBeLessThan(1_000);
    const run = await client.run(id);
    expect(run).toMatchObject({ status: 'paused', lease: null });
    expect(run.waiting).toMatchObject({ on: 'pause', ref: 'halt', owner: 'owner', atDeadline: 'remind' });
    expect(run.waiting?.reason).toBe('owner stopped everything: fire');
  }
  expect(await processesNaming(longSleep)).toEqual([]);
  expect((await status()).halted).toEqual(first.halted);
  await client.say(byPerson, 'not yet');

  expect(await release()).toEqual({ halted: null });
  expect((await release()).halted).toBeNull();
  expect(await client.awaitEnd(inModel)).toMatchObject({ status: 'succeeded' });
  const models = (await client.steps(inModel)).filter(({ kind }) => kind === 'model');
  expect(models.map((step) => step.status)).toEqual([
    ...['done', 'done', 'done', 'in_doubt'],
    ...['done', 'done', 'done', 'done'],
  ]);
  const again = await client.awaitEvent((event) => event.type === 'run.claimed' && event.runid === inCommand);
  expect(again.sequence).toBeGreaterThan(0);
  await client.control(inCommand, 'stop');
  await client.awaitEnd(inCommand);
  expect(await client.run(byPerson)).toMatchObject({ status: 'paused' });
  expect((await client.run(byPerson)).waiting?.reason).toContain('paused by a person');
  await client.control(byPerson, 'resume');
  expect(await client.awaitEnd(byPerson)).toMatchObject({ status: 'succeeded' });
});

test('a stop outlives every process, and nothing is taken until the release', async () => {
  const client = house.home.api;
  const running = await begin('killed', longSleep);
  await client.awaitEvent((event) => event.runid === running && event.data['name'] === 'run_command');
  worker.kill('SIGKILL');
  await worker.exit;
  const stopped = await mission(house.home.path, ['stop', '--all', '--reason', 'the night is over']);
  expect(stopped).toMatchObject({ status: 0 });
  expect(stopped.stdout).toContain('everything is stopped by owner');
  api.kill('SIGKILL');
  await api.exit;
  await startBoth();
  // Its dead worker's lease runs out while everything is stopped.
  await client.awaitEvent((event) => event.type === 'run.paused' && event.runid === running);
  const queued = await begin('later', 'echo two >> a.txt');
  expect(await client.run(queued)).toMatchObject({ status: 'paused', waiting: { ref: 'halt' } });
  await client.control(running, 'stop');
  const halted = await status();
  expect(halted.halted).toMatchObject({ by: 'owner', reason: 'the night is over' });
  expect((await mission(house.home.path, ['status'])).stdout).toContain('the night is over');
  expect(halted.runs.map(({ status: now }) => now)).toEqual(['paused', 'paused']);

  expect(await mission(house.home.path, ['release'])).toMatchObject({ status: 0 });
  expect(await client.awaitEnd(queued)).toMatchObject({ status: 'succeeded' });
  expect(await client.awaitEnd(running)).toMatchObject({ status: 'stopped' });
  const claimed = await house.store.database.many<{ runId: string }>(
    sql`SELECT run_id AS "runId" FROM events WHERE type = 'run.claimed' ORDER BY sequence`,
  );
  const meanwhile = await house.store.database.many(
    sql`SELECT sequence FROM events WHERE type = 'run.claimed'
          AND sequence > (SELECT max(sequence) FROM events WHERE type = 'halt.began')
          AND sequence < (SELECT max(sequence) FROM events WHERE type = 'halt.ended')`,
  );
  expect(claimed.map(({ runId }) => runId)).toContain(queued);
  expect(meanwhile).toEqual([]);
  expect(await findBrokenLink(house.store.database)).toBeNull();
});
