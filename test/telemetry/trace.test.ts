import { pino } from 'pino';
import { expect, test } from 'vitest';
import { createdTask } from '../../contract/tasks.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { traceTool } from '../../server/telemetry/trace-runs.ts';
import { openTracing } from '../../server/telemetry/tracing.ts';
import { builtinTools } from '../../server/tools/catalogue.ts';
import { inTrace, nextPlace } from '../../server/trace-context.ts';
import { makeHome } from '../start-app.ts';
import { type SeenSpan, startCollector } from './otlp.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const callerSpan = '00f067aa0ba902b7';

test('one trace goes from the caller through the API to model and tool in another process, over a wait and a restart', async () => {
  await using collector = await startCollector();
  await using database = await createTestDatabase();
  await using home = await makeHome();
  const env = { DATABASE_URL: database.connectionString, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  const api = await home.start({ roles: 'api', env: { ...env, OTEL_SERVICE_NAME: 'mission-api' } });
  const worker = { roles: 'worker', env: { ...env, OTEL_SERVICE_NAME: 'mission-worker' } };
  const first = await home.start(worker);

  const { url, key } = await home.api.connection();
  const response = await fetch(`${url}/api/v1/tasks`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      traceparent: `00-${traceId}-${callerSpan}-01`,
    },
    body: JSON.stringify({
      instructions: 'Mend the quince.',
      repository: home.repository,
      checks: ['sh check.sh'],
      model: 'recorded/tiny',
    }),
  });
  expect(response.headers.get('traceparent')).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
  const { run, task } = createdTask.parse(await response.json());
  const runId = run?.id ?? '';
  await home.api.awaitEvent(
    ({ type, data }) => type === 'run.waiting' && JSON.stringify(data).includes('"on":"ask"'),
  );
  await first.stop();
  const second = await home.start(worker);
  const [ask] = await home.api.asks('open');
  await home.api.say(runId, 'keep it short');
  await home.api.decide(ask?.id ?? '', 'answer', 'yes');
  expect(await home.api.awaitEnd(runId)).toMatchObject({ status: 'succeeded' });
  await second.stop();
  await api.stop();

  const spans = collector.spans().filter((span) => span.traceId === traceId);
  const request = spans.find(({ name }) => name === 'POST /api/v1/tasks');
  expect(request).toMatchObject({ parentSpanId: callerSpan, service: 'mission-api', kind: 2 });
  expect(request?.attributes).toMatchObject({
    'http.route': '/api/v1/tasks',
    'http.response.status_code': 201,
  });

  const stretches = spans.filter(({ name }) => name === 'invoke_agent developer');
  expect(stretches.length).toBeGreaterThanOrEqual(2);
  for (const stretch of stretches) expect(stretch.parentSpanId).toBe(request?.spanId);
  expect(new Set(stretches.map(({ attributes }) => attributes['mission.worker.id'])).size).toBe(2);
  const asking = stretches.find(({ attributes }) => attributes['mission.run.waits_on'] === 'ask');
  expect(asking?.attributes).toMatchObject({
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.agent.name': 'developer',
    'gen_ai.conversation.id': runId,
    'mission.task.id': task.id,
  });

  const below = new Set(stretches.map(({ spanId }) => spanId));
  const chats = spans.filter(({ name }) => name === 'chat tiny');
  const tools = spans.filter(({ name }) => name.startsWith('execute_tool '));
  for (const span of [...chats, ...tools]) {
    expect(below).toContain(span.parentSpanId);
    expect(span.service).toBe('mission-worker');
  }
  expect(chats.find((span) => span.status.code === 2)?.attributes['error.type']).toBe('rate_limited');
  const answered = chats.find((span) => span.status.code !== 2);
  expect(answered?.attributes).toMatchObject({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'recorded',
    'gen_ai.request.model': 'tiny',
    'gen_ai.response.finish_reasons': ['tool_call'],
  });
  expect(answered?.attributes['gen_ai.usage.input_tokens']).toBeGreaterThan(0);
  expect(answered?.attributes['gen_ai.usage.output_tokens']).toBeGreaterThan(0);
  expect(namesOf(tools)).toEqual(
    expect.arrayContaining(['execute_tool read_file', 'execute_tool run_command', 'execute_tool git_commit']),
  );
  // Nothing of what was said or read goes out.
  expect(collector.receiver.received.map(({ body }) => body).join()).not.toMatch(
    /quince|Helo|misspelt|keep it short/,
  );
}, 180_000);

const namesOf = (spans: readonly SeenSpan[]) => spans.map(({ name }) => name);

test('content goes out only where it is asked for, and without the secrets in it', async () => {
  await using collector = await startCollector();
  const tool = builtinTools().find(({ name }) => name === 'note');
  if (tool === undefined) throw new Error('there is no tool to note with');
  const settings = {
    url: `${collector.url}/v1/traces`,
    serviceName: 'test',
    sampleRatio: 1,
    captureContent: true,
  };
  const place = nextPlace(null);
  const redact = (text: string) => text.replaceAll('hunter2', '[secret]');
  {
    await using tracing = await openTracing(settings, { version: '1.2.3', log: pino({ level: 'silent' }) });
    const context = {} as Parameters<typeof tool.run>[1];
    const input = { text: 'the password is hunter2' };
    await inTrace(place, () => traceTool(tracing, tool, redact).run(input, context));
    await inTrace(place, () => traceTool(tracing, tool, null).run(input, context));
    const unwanted = { ...nextPlace(null), sampled: false };
    await inTrace(unwanted, () => traceTool(tracing, tool, redact).run(input, context));
  }
  const [shown, bare, ...rest] = collector.spans();
  expect(rest).toEqual([]);
  expect(shown).toMatchObject({ traceId: place.traceId, parentSpanId: place.spanId });
  expect(shown?.attributes['gen_ai.tool.call.arguments']).toBe('{"text":"the password is [secret]"}');
  expect(bare?.attributes).not.toHaveProperty('gen_ai.tool.call.arguments');
});

test('a collector that is away holds nobody up, and the log says that it is', async () => {
  await using database = await createTestDatabase();
  await using home = await makeHome();
  const collector = await startCollector();
  await collector[Symbol.asyncDispose]();
  const env = { DATABASE_URL: database.connectionString, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  const server = await home.start({ roles: 'api', env });
  expect(await home.api.tasks()).toEqual([]);
  await server.awaitLog('spans cannot be sent now');
  expect(await server.stop()).toMatchObject({ code: 0 });
});
