import { pino } from 'pino';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { runView } from '../../contract/runs.ts';
import { createdTask } from '../../contract/tasks.ts';
import type { Sandbox } from '../../server/computers/sandbox.ts';
import { openUnsafeSandbox } from '../../server/computers/unsafe-sandbox.ts';
import { traceSandbox } from '../../server/telemetry/trace-computer.ts';
import { openTracing } from '../../server/telemetry/tracing.ts';
import { inTrace, nextPlace, readTraceparent } from '../../server/trace-context.ts';
import {
  commitFiles,
  git,
  House,
  mendedSum,
  shell,
  sumProject,
  toDelivery,
  toWork,
  write,
} from '../e2e/house.ts';
import { type Receiver, startReceiver } from '../receiver.ts';
import { startCollector } from './otlp.ts';

const traceId = '7d3f1b2a4c5e6f708192a3b4c5d6e7f8';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
const post = { method: 'POST', headers: { traceparent, 'content-type': 'application/json' } };
const webhooks = { privateHosts: ['127.0.0.1'] };

const register = async (house: House, receiver: Receiver, types: string[]) =>
  house.ask<{ id: string }>('POST', '/webhooks', { url: `${receiver.url}/hook`, types });

const awaitDelivery = async (receiver: Receiver, type: string) => {
  const { headers } = await receiver.await(({ body }) => JSON.parse(body).type === type);
  const place = readTraceparent(headers['traceparent']);
  if (place === null) throw new Error(`${type} was delivered without its place in a trace`);
  return place;
};

test('the trace goes on into commands, checks, set-ups, merges and the webhooks that tell of them', async () => {
  await using collector = await startCollector();
  await using receiver = await startReceiver();
  let merged: Awaited<ReturnType<typeof awaitDelivery>>;
  {
    const tracing = {
      url: `${collector.url}/v1/traces`,
      serviceName: 'test',
      sampleRatio: 1,
      captureContent: false,
    };
    const telemetry = { tracing, sentry: null, metricsToken: null, metricsPort: null };
    await using house = await House.open({ telemetry, webhooks });
    await register(house, receiver, ['change.merged']);
    const repository = house.repository(sumProject);
    git(repository, 'checkout', '-q', '-b', 'elsewhere');
    const work = [shell('echo plum; exit 3'), write('src/sum.js', mendedSum)];
    const body = {
      instructions: 'Mend the sum.',
      repository,
      branch: 'main',
      model: house.record([...toWork, ...work, ...toDelivery]),
      checks: ['node --test'],
      setup: ['mkdir node_modules'],
    };
    const answer = await house.fetch('/tasks', { ...post, body: JSON.stringify(body) });
    const created = createdTask.parse(await answer.json());
    expect((await house.rest(created.run.id)).run.status).toBe('succeeded');
    // The branch moves on, so that the merge has to be checked.
    git(repository, 'checkout', '-q', 'main');
    commitFiles(repository, { 'docs/a.md': 'a\n' });
    git(repository, 'checkout', '-q', 'elsewhere');
    const [change] = await house.changes(created.task.id);
    const merging = await house.fetch(`/changes/${change?.id}/merge`, { ...post, body: '{}' });
    const { run } = z.object({ run: runView }).parse(await merging.json());
    expect((await house.rest(run.id)).run.outcome).toContain('merged');
    merged = await awaitDelivery(receiver, 'change.merged');
    expect(merged.traceId).toBe(traceId);
  }

  const spans = collector.spans().filter((span) => span.traceId === traceId);
  const named = (name: string) => spans.filter((span) => span.name === name);
  const below = (spanId: string | undefined) => spans.filter((span) => span.parentSpanId === spanId);
  const [request] = named('POST /api/v1/tasks');
  const [stretch] = named('invoke_agent developer');
  const [merge] = named('merge');
  const [mergeRequest] = named('POST /api/v1/changes/:id/merge');
  expect([stretch?.parentSpanId, merge?.parentSpanId]).toEqual([request?.spanId, mergeRequest?.spanId]);
  expect(merge?.attributes['mission.change.id']).toMatch(/^chg_/);

  const [tool] = named('execute_tool run_command');
  expect(below(tool?.spanId).find(({ name }) => name === 'sh')).toMatchObject({
    kind: 3,
    status: { code: 2 },
    attributes: { 'process.executable.name': 'sh', 'process.exit.code': 3, 'error.type': '3' },
  });

  const checks = spans.filter(({ name }) => name.startsWith('check '));
  const ofAgent = below(stretch?.spanId).filter((span) => checks.includes(span));
  expect(ofAgent.map(({ name, attributes }) => [name, attributes['cicd.pipeline.task.run.result']])).toEqual([
    ['check base', 'failure'],
    ['check change', 'success'],
  ]);
  const [recheck] = below(merge?.spanId).filter((span) => checks.includes(span));
  expect(recheck).toMatchObject({ name: 'check change', kind: 1, status: {} });
  expect(recheck?.attributes['vcs.ref.head.revision']).toMatch(/^[0-9a-f]{40}$/);
  expect(below(recheck?.spanId).map(({ name }) => name)).toContain('sh');
  expect(named('setup')[0]?.attributes).toMatchObject({
    'cicd.pipeline.task.type': 'build',
    'cicd.pipeline.task.run.result': 'success',
  });

  const delivery = named('POST').find(({ spanId }) => spanId === merged.spanId);
  expect(delivery).toMatchObject({ kind: 3, parentSpanId: mergeRequest?.spanId });
  expect(delivery?.attributes).toMatchObject({
    'server.address': '127.0.0.1',
    'http.response.status_code': 204,
  });
  // Neither what was run, nor what came of it, nor where it was sent.
  expect(collector.receiver.received.map(({ body }) => body).join()).not.toMatch(/plum|mkdir|--test|\/hook/);
}, 180_000);

test('a delivery stands in a trace also where nobody takes spans, and in one of its own where no request asked for it', async () => {
  await using receiver = await startReceiver();
  await using house = await House.open({ roles: ['api'], webhooks });
  const { id } = await register(house, receiver, ['project.created', 'task.created']);
  await house.fetch(`/webhooks/${id}/test`, { method: 'POST', headers: { traceparent } });
  expect((await awaitDelivery(receiver, 'webhook.tested')).traceId).toBe(traceId);

  const project = await house.ask<{ id: string }>('POST', '/projects', { name: 'errands' });
  expect((await awaitDelivery(receiver, 'project.created')).traceId).not.toBe(traceId);

  const body = JSON.stringify({ project: project.id, instructions: 'Water the flowers.' });
  await house.fetch('/tasks', { ...post, body });
  expect(await awaitDelivery(receiver, 'task.created')).toMatchObject({ traceId, sampled: true });
});

test('what a command line says goes out only where it is asked for; what belongs to no trace gets no span', async () => {
  await using collector = await startCollector();
  const sandbox = openUnsafeSandbox();
  const settings = {
    url: `${collector.url}/v1/traces`,
    serviceName: 'test',
    sampleRatio: 1,
    captureContent: true,
  };
  const redact = (text: string) => text.replaceAll('hunter2', '[secret]');
  const run = (watched: Sandbox, argv: string[], timeoutMs = 10_000) =>
    watched.run({ argv, cwd: '/tmp', mounts: [], limits: { timeoutMs } }, AbortSignal.timeout(20_000));
  {
    await using tracing = await openTracing(settings, { version: '1.2.3', log: pino({ level: 'silent' }) });
    const [shown, bare] = [redact, null].map((capture) => traceSandbox(tracing, sandbox, capture));
    if (shown === undefined || bare === undefined) throw new Error('there is no sandbox');
    await run(shown, ['true']);
    await inTrace(nextPlace(null), async () => {
      await run(shown, ['/bin/echo', 'the password is hunter2']);
      await run(bare, ['sleep', '30'], 100);
      await expect(
        shown.run({ argv: ['true'], cwd: '/', mounts: [] }, AbortSignal.abort()),
      ).rejects.toThrow();
    });
  }
  const seen = collector.spans().map(({ name, attributes }) => ({ name, ...attributes }));
  expect(seen).toEqual([
    {
      name: 'echo',
      'process.executable.name': 'echo',
      'process.command_args': ['/bin/echo', 'the password is [secret]'],
      'process.exit.code': 0,
      'mission.sandbox': 'unsafe',
    },
    expect.objectContaining({ name: 'sleep', 'error.type': 'timeout' }),
    expect.objectContaining({ name: 'true', 'error.type': 'AbortError' }),
  ]);
  expect(seen[1]).not.toHaveProperty('process.command_args');
});
