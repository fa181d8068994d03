import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../server/config.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'config-'));
});
afterEach(() => rm(home, { recursive: true }));

const read = (environment: Record<string, string> = {}) =>
  readConfig({ MISSION_HOME: home, ...environment }, []);
const write = (file: unknown) => writeFile(join(home, 'mission.config.json'), JSON.stringify(file));

describe('providers', () => {
  test('are known by the variables of their keys', () => {
    const { providers } = read({
      ANTHROPIC_API_KEY: 'a',
      ANTHROPIC_BASE_URL: 'http://127.0.0.1:8080/',
      OPENAI_API_KEY: 'o',
      GOOGLE_GENERATIVE_AI_API_KEY: 'g',
      GROQ_API_KEY: 'q',
      STRIPE_API_KEY: 'never',
    });
    expect(providers.map(({ name, kind, baseURL, apiKey }) => [name, kind, baseURL, apiKey])).toEqual([
      ['anthropic', 'anthropic', 'http://127.0.0.1:8080/v1', 'a'],
      ['openai', 'openai', 'https://api.openai.com/v1', 'o'],
      ['google', 'google', 'https://generativelanguage.googleapis.com/v1beta', 'g'],
      ['groq', 'openai-compatible', 'https://api.groq.com/openai/v1', 'q'],
    ]);
  });

  test('are named by the file, with a key of their own name or of another variable', async () => {
    await write({
      providers: {
        ollama: { kind: 'openai-compatible', baseUrl: 'http://127.0.0.1:11434' },
        'my-vllm': { kind: 'openai-compatible', baseUrl: 'http://gpu:8000/v1', requestsPerMinute: 20 },
        anthropic: { kind: 'anthropic', keyVariable: 'WORK_KEY' },
      },
    });
    const { providers } = read({ MY_VLLM_API_KEY: 'v', WORK_KEY: 'w', ANTHROPIC_API_KEY: 'a' });
    expect(providers).toEqual([
      expect.objectContaining({ name: 'ollama', baseURL: 'http://127.0.0.1:11434/v1', apiKey: null }),
      expect.objectContaining({ name: 'my-vllm', apiKey: 'v', requestsPerMinute: 20 }),
      expect.objectContaining({ name: 'anthropic', baseURL: 'https://api.anthropic.com/v1', apiKey: 'w' }),
    ]);
  });

  test.each<[string, unknown, Record<string, string>, RegExp]>([
    ['no address', { providers: { x: { kind: 'openai-compatible' } } }, {}, /provider x needs the address/],
    ['a file as address', {}, { OPENAI_API_KEY: 'o', OPENAI_BASE_URL: 'file:///x' }, /provider openai needs/],
    ['the recordings’ name', { providers: { recorded: { kind: 'openai' } } }, {}, /recorded is the name/],
    ['a proxy that is none', {}, { HTTPS_PROXY: 'proxy' }, /HTTP_PROXY and HTTPS_PROXY must be/],
    [
      'a record that is relative',
      {},
      { MISSION_RECORD: 'x.jsonl' },
      /MISSION_RECORD: must be an absolute path/,
    ],
  ])('%s is refused by name', async (_what, file, environment, message) => {
    await write(file);
    expect(() => read(environment)).toThrow(message);
  });
});

test('the proxy is read in either case, and for both protocols', () => {
  expect(read({ https_proxy: 'http://p:1', NO_PROXY: 'localhost' }).proxy).toEqual({
    httpsProxy: 'http://p:1',
    noProxy: 'localhost',
  });
  expect(read({ ALL_PROXY: 'http://p:2' }).proxy).toEqual({
    httpProxy: 'http://p:2',
    httpsProxy: 'http://p:2',
  });
});

describe('who is let near', () => {
  test('is loopback, unless the environment says otherwise', () => {
    expect(read()).toMatchObject({ host: '127.0.0.1', tls: null, trustedProxies: [] });
    expect(
      read({
        MISSION_TLS_CERT: '/etc/cert.pem',
        MISSION_TLS_KEY: '/etc/key.pem',
        MISSION_TRUSTED_PROXIES: '10.0.0.7, fd00::/8',
      }),
    ).toMatchObject({
      tls: { certificate: '/etc/cert.pem', key: '/etc/key.pem' },
      trustedProxies: ['10.0.0.7', 'fd00::/8'],
    });
  });

  test.each([
    [{ MISSION_TLS_CERT: '/etc/cert.pem' }, /together/],
    [{ MISSION_TLS_CERT: 'cert.pem', MISSION_TLS_KEY: '/etc/key.pem' }, /MISSION_TLS_CERT.*absolute/],
    [{ MISSION_TRUSTED_PROXIES: 'everybody' }, /MISSION_TRUSTED_PROXIES.*10\.0\.0\.7/],
    [{ MISSION_TRUSTED_PROXIES: '0.0.0.0/99' }, /MISSION_TRUSTED_PROXIES/],
  ])('is said where it makes no sense: %j', (environment, message) => {
    expect(() => read(environment)).toThrow(message);
  });
});
