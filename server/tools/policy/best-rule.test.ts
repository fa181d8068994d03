import { expect, test } from 'vitest';
import { type DecidedCall, findBestRule } from './best-rule.ts';

const call = (command: string, approved = true, more: Partial<DecidedCall> = {}): DecidedCall => ({
  tool: 'run_command',
  subject: command,
  input: { command },
  effect: 'workspace',
  agent: 'dev',
  project: 'prj_1',
  approved,
  ...more,
});

test('the rule that spares most is offered, as narrow as it can be', () => {
  expect(
    findBestRule([call('npm run build'), call('npm run lint'), call('npm run build'), call('ls')]),
  ).toEqual({
    rule: { effect: 'allow', tool: 'run_command', pattern: 'npm run *' },
    agent: 'dev',
    project: 'prj_1',
    saves: 3,
  });
  const same = findBestRule([call('npm run build'), call('npm run build')]);
  expect(same?.rule.input).toEqual({ command: 'npm run build' });
});

test('no rule covers what was denied, or what runs other programs', () => {
  expect(
    findBestRule([call('npm run build'), call('npm run lint'), call('npm run deploy', false)]),
  ).toBeNull();
  expect(findBestRule([call('sh -c ls'), call("sh -c 'ls -a'")])).toBeNull();
  expect(findBestRule([call('git -c core.pager=a log'), call('git -c core.pager=b log')])).toBeNull();
  expect(findBestRule([call('npm run a', true, { agent: 'other' }), call('npm run b')])).toBeNull();
});
