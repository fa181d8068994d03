import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HookDeliveryView } from '../../contract/hooks.ts';
import { House } from '../e2e/house.ts';
import { mission } from '../mission.ts';
import { issue, post, signedByGithub } from './deliver.ts';

let house: House;
beforeAll(async () => {
  house = await House.open({ roles: ['api'] });
});
afterAll(() => house[Symbol.asyncDispose]());

test('a hook is registered, listed without its secret, followed, rotated and removed from the command line', {
  timeout: 120_000,
}, async () => {
  const call = (...args: string[]) => mission(join(house.folder, 'home'), ['hook', ...args]);
  await house.ask('POST', '/projects', { name: 'shop' });
  const options = ['--project', 'shop', '--scheme', 'github', '--only', 'action=opened,reopened'];
  const made = await call('add', 'bugs', ...options, '--title', '{{issue.title}}', '--instructions', 'Look.');
  expect(made.status, made.stderr).toBe(0);
  const secret = made.stdout.trim();
  const [, id = ''] = made.stderr.match(/\/api\/v1\/hooks\/(hook_\w{17})\/deliveries/) ?? [];
  expect(secret.length).toBeGreaterThan(40);
  expect(made.stderr).not.toContain(secret);

  const listed = await call('list');
  expect(listed.stdout).toMatch(new RegExp(`^${id} {2}bugs \\(github\\) in prj_`));
  expect(listed.stdout).not.toContain(secret);

  const rotated = await call('rotate', 'bugs');
  const body = issue('By the secret before');
  expect((await post(house, { id }, body, signedByGithub(body, secret))).status).toBe(202);
  const next = issue('By the new one');
  expect((await post(house, { id }, next, signedByGithub(next, rotated.stdout.trim()))).status).toBe(202);
  const came: HookDeliveryView[] = JSON.parse((await call('deliveries', 'bugs', '--json')).stdout);
  expect(came.map(({ status }) => status)).toEqual(['accepted', 'accepted']);

  expect((await call('disable', id.slice(-6))).stdout).toContain('; disabled');
  expect((await call('remove', 'bugs')).stdout).toBe('bugs is removed.\n');
  const gone = await call('deliveries', 'bugs');
  expect([gone.status, gone.stderr]).toEqual([4, expect.stringContaining('mission hook list')]);
});
