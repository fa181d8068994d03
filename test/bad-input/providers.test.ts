import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waiting } from '../../contract/waiting.ts';
import { mission } from '../mission.ts';
import { makeHome, type TestHome } from '../start-app.ts';

const started = new AsyncDisposableStack();
const small = { input: 1, cachedInput: 1, output: 1, contextTokens: 100_000, maxOutputTokens: 8_000 };
let home: TestHome;
let reply = { status: 500, type: 'api_error', message: '' };

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  started.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  const provider = await listening(
    createServer((request, response) => {
      request.resume().on('end', () => {
        const { status, type, message } = reply;
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ type: 'error', error: { type, message } }));
      });
    }),
  );
  const proxy = createServer();
  proxy.on('connect', (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
  const gone = createServer();
  const goneAt = await listening(gone);
  gone.close();
  home = started.use(await makeHome({ models: { 'groq/small': small, 'openai/large': small } }));
  const env = {
    ANTHROPIC_API_KEY: 'sk-wrong',
    ANTHROPIC_BASE_URL: `http://127.0.0.1:${provider}/v1`,
    GROQ_API_KEY: 'sk-for-groq',
    GROQ_BASE_URL: `http://127.0.0.1:${goneAt}/v1`,
    OPENAI_API_KEY: 'sk-for-the-proxy',
    HTTPS_PROXY: `http://127.0.0.1:${await listening(proxy)}`,
    NO_PROXY: '127.0.0.1',
  };
  started.use(await home.start({ env }));
});
afterAll(() => started.disposeAsync());

test.each([
  ['a wrong key', 401, 'authentication_error', 'invalid x-api-key', 'Give the provider the right key'],
  ['no credit', 400, 'invalid_request_error', 'Your credit balance is too low', 'Add credit at the provider'],
  ['a model that is not there', 404, 'not_found_error', 'model: x', 'start the task again with another one'],
])('%s: a person is asked, with what to do first', async (_name, status, type, message, remedy) => {
  reply = { status, type, message };
  const run = ['run', 'x', '--repo', home.repository, '--no-input', '--check', 'true'];
  const ended = await mission(home.path, [...run, '--model', 'anthropic/claude-sonnet-4-5']);
  const words = ended.stdout.replace(/\s+/g, ' ');
  expect(words).toContain(message);
  expect(words).toContain(remedy);
  expect(ended.status).toBe(5);
  expect(words).not.toContain('sk-wrong');
});

test.each([
  ['a provider that is gone', 'groq/small', 'Cannot connect to API'],
  [
    'a proxy that refuses',
    'openai/large',
    'The proxy refused the connection with status 403: look at HTTPS_PROXY',
  ],
])('%s: the run waits by name and tries again', async (_name, model, reason) => {
  const { run } = await home.api.createTask({
    instructions: 'x',
    repository: home.repository,
    checks: ['true'],
    model,
  });
  const event = await home.api.awaitEvent(({ type, runid }) => type === 'run.waiting' && runid === run.id);
  expect(waiting.parse(event.data['waiting'])).toMatchObject({
    on: 'timer',
    owner: 'control-plane',
    atDeadline: 'retry',
  });
  expect(JSON.stringify(event.data)).toContain(reason);
  expect((await mission(home.path, ['stop', run.id])).status).toBe(0);
});
