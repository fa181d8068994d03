import { expect, test } from 'vitest';
import { isDirect, parseSettings, readRegistryConfig } from './registry-config.ts';

test('settings of npm are read with their quotes, comments and variables', () => {
  const text =
    '; note\n# note\nregistry = "https://npm.example.com/"\ncafile=$' +
    '{CERTS}/ca.pem\n//npm.example.com/:_authToken=t\n';
  expect(parseSettings(text, { CERTS: '/certs' })).toEqual({
    registry: 'https://npm.example.com/',
    cafile: '/certs/ca.pem',
  });
});

test('what the environment names wins, and loses its credentials', async () => {
  const config = await readRegistryConfig({
    npm_config_registry: 'https://user:secret@npm.example.com:8443/npm/?token=secret',
    npm_config_cafile: '/nowhere/ca.pem',
    npm_config_https_proxy: 'http://u:p@proxy.example.com:3128',
    npm_config_noproxy: '.internal, 10.0.0.1',
  });
  expect(config).toMatchObject({
    npmRegistry: 'https://npm.example.com:8443/npm/',
    extraHosts: ['npm.example.com:8443'],
    direct: ['.internal', '10.0.0.1'],
  });
  expect(config.upstream?.host).toBe('proxy.example.com:3128');
  expect(JSON.stringify({ ...config, upstream: undefined })).not.toContain('secret');
});

test('NO_PROXY names hosts and the domains above them', () => {
  expect(isDirect('a.internal', ['.internal'])).toBe(true);
  expect(isDirect('internal', ['*.internal'])).toBe(true);
  expect(isDirect('a.internal', ['*'])).toBe(true);
  expect(isDirect('notinternal', ['internal'])).toBe(false);
  expect(isDirect('a.example', [''])).toBe(false);
});
