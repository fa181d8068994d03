import { expect, test } from 'vitest';
import { chooseSandbox, sandboxSettings } from './sandbox.ts';

test('the environment outranks the file, and local is what nobody chose', () => {
  expect(chooseSandbox({}, undefined)).toEqual({ driver: 'local', image: null, engine: null });
  const file = sandboxSettings.parse({ driver: 'container', image: 'node:24', socket: '/run/a.sock' });
  expect(chooseSandbox({}, file)).toEqual({ driver: 'container', image: 'node:24', engine: '/run/a.sock' });
  const environment = {
    MISSION_SANDBOX: 'local',
    MISSION_SANDBOX_IMAGE: 'own:1',
    DOCKER_HOST: 'unix:///run/b.sock',
  } as const;
  expect(chooseSandbox(environment, file)).toEqual({
    driver: 'local',
    image: 'own:1',
    engine: '/run/b.sock',
  });
});

test('an engine of another machine stays recognisable, and a relative socket is refused', () => {
  expect(chooseSandbox({ DOCKER_HOST: 'tcp://10.0.0.1:2375' }, undefined).engine).toBe('tcp://10.0.0.1:2375');
  expect(sandboxSettings.safeParse({ socket: 'docker.sock' }).success).toBe(false);
});
