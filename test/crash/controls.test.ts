import { expect, test } from 'vitest';
import { argumentsOf } from '../../server/computers/processes.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { makeHome, type ServerProcess, type TestHome, until } from '../start-app.ts';

/** Whole servers are started, on a machine that may be doing other things. */
const limitMs = 120_000;

async function openHome(
  stack: AsyncDisposableStack,
  config: Record<string, unknown> = {},
): Promise<{ home: TestHome; server: ServerProcess }> {
  const database = stack.use(await createTestDatabase());
  const home = stack.use(await makeHome(config));
  const server = await home.start({ env: { DATABASE_URL: database.connectionString } });
  return { home, server };
}

async function order({ api, repository }: TestHome, recording: string): Promise<string> {
  const instructions = 'Mend the greeting';
  const created = await api.createTask({
    instructions,
    repository,
    model: `recorded/${recording}`,
    checks: ['sh check.sh'],
  });
  return created.run.id;
}

const commandRuns = (home: TestHome) =>
  home.api.awaitEvent((event) => event.type === 'step.intended' && event.data['name'] === 'run_command');

test('stop ends a long command and all that belongs to it', { timeout: limitMs }, async () => {
  await using stack = new AsyncDisposableStack();
  const { home, server } = await openHome(stack);
  const { api } = home;
  const runId = await order(home, 'endless');
  const command = await until(async () => server.commands('sleep 3599.25')[0], 'the command runs');
  const asked = performance.now();
  await api.control(runId, 'stop');
  const run = await api.awaitEnd(runId, 5_000);
  expect(performance.now() - asked).toBeLessThan(5_000);
  expect(run).toMatchObject({ status: 'stopped', outcome: 'stopped by a person', lease: null });
  expect(argumentsOf(command)).toEqual([]);
  expect(server.commands('sleep 3599.25')).toEqual([]);
  expect(await api.task(run.taskId)).toMatchObject({ status: 'cancelled' });
  expect(run.budget).toMatchObject({ reservedMicros: 0, reservedTokens: 0 });
  const open = (await api.steps(runId)).filter((step) => step.status === 'intended');
  expect(open).toEqual([]);
});

test('pause parks the run with a name for its wait, guidance is kept, and resume goes on with it', {
  timeout: limitMs,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const { home } = await openHome(stack);
  const { api } = home;
  const runId = await order(home, 'guided');
  await commandRuns(home);
  await api.control(runId, 'pause');
  await api.awaitEvent((event) => event.type === 'run.paused');
  expect(await api.run(runId)).toMatchObject({
    status: 'paused',
    lease: null,
    waiting: { on: 'pause', owner: 'owner', atDeadline: 'remind' },
  });
  await api.say(runId, 'say it with an exclamation mark');
  // The recording refuses to go on unless the sentence stands in the next request.
  await api.control(runId, 'resume');
  const run = await api.awaitEnd(runId);
  expect(run.outcome).toMatch(/has passed its checks/);
  const guidance = (await api.steps(runId)).filter((step) => step.kind === 'guidance');
  expect(guidance).toMatchObject([{ intent: { text: 'say it with an exclamation mark', from: 'owner' } }]);
});

test('a question is answered; one that nobody answers takes its default at its deadline', {
  timeout: limitMs,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const { home } = await openHome(stack, { asks: { deadlineHours: 4 / 3_600 } });
  const { api } = home;
  const runId = await order(home, 'questions');
  const first = await api.awaitEvent((event) => event.type === 'ask.opened');
  const [ask] = await api.asks('open');
  expect(first.subject).toBe(`ask/${ask?.id}`);
  expect(ask).toMatchObject({ question: 'Which greeting?', status: 'open', defaultDecision: 'deny' });
  await api.decide(ask?.id ?? '', 'answer', 'Hello');
  const waits = await api.awaitEvent(
    (event) => event.type === 'run.waiting' && JSON.stringify(event.data).includes('And the list?'),
  );
  expect(waits.data['waiting']).toMatchObject({ on: 'ask', owner: 'owner', atDeadline: 'deny' });
  await api.awaitEvent((event) => event.type === 'ask.expired');
  expect((await api.awaitEnd(runId)).status).toBe('succeeded');
  const asks = await api.asks();
  expect(asks.map(({ question, status, answer }) => [question, status, answer])).toEqual([
    ['And the list?', 'expired', 'nobody decided in time'],
    ['Which greeting?', 'decided', 'Hello'],
  ]);
});
