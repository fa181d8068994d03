import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PolicyExplanation, PolicyRuleView } from '../../contract/policies.ts';
import type { Problem } from '../../contract/system.ts';
import { mission } from '../mission.ts';
import { finish, House, shell, toWork } from './house.ts';

let house: House;
beforeAll(async () => {
  house = await House.open();
});
afterAll(() => house[Symbol.asyncDispose]());

const run = (...args: string[]) => mission(join(house.folder, 'home'), args);
const ask = (body: Record<string, unknown>) =>
  house.ask<PolicyExplanation & Problem>('POST', '/policy/test', { agent: 'developer', ...body });

test('the command line adds, tests, explains and removes rules, and tells their history', async () => {
  const added = await run(
    'policy',
    'add',
    'deny',
    'run_command',
    'git push*',
    '--agent',
    'developer',
    '--why',
    'we push',
  );
  expect(added.stdout).toContain('rule 1 holds from now on: version 1');
  const denied = await run('policy', 'test', 'cd x && git -C y push origin main', '--agent', 'developer');
  expect(denied).toMatchObject({ status: 1 });
  expect(denied.stdout).toContain('denied: denied by rule 1 "deny run_command git push*"');
  expect(denied.stdout).toMatch(/allow {2}cd x {2}allowed by the rule "allow \* \(workspace\)"/);
  expect((await run('policy', 'test', 'git log', '--agent', 'developer')).status).toBe(0);
  expect((await run('policy', 'test', 'git $X', '--agent', 'developer')).status).toBe(5);
  expect((await run('policy', 'list')).stdout).toContain('rule 1  deny run_command git push* for developer');
  const gone = await run('policy', 'remove', '1', '--why', 'they may');
  expect(gone.stdout).toContain('version 2');
  const { stdout } = await run('policy', 'history');
  expect(stdout).toMatch(/^2 .* owner removed rule 1 .*: they may\n1 .* owner added rule 1 .*: we push\n$/);
  expect((await run('policy', 'add', 'forbid', 'x', '--why', 'y')).status).toBe(2);
  expect((await run('policy', 'report')).stdout).toContain('no task was completed');
});

test('a rule holds for the next call of a run that is under way, and paths are followed through links', async () => {
  const { run: first } = await house.start(
    [
      ...toWork,
      shell('ln -s ../package.json src/innocent && true'),
      { calls: [['write_file', { path: 'src/innocent', content: '{}' }]] },
      { contains: ['Denied by policy'], calls: [['run_command', { command: 'echo "{}" > src/innocent' }]] },
      { contains: ['Denied by policy'], calls: [['write_file', { path: 'src/other', content: 'x' }]] },
      { ...finish, contains: ['src/other'] },
      { calls: [['ask_human', { question: 'And now?' }]] },
    ],
    { checks: ['true'] },
  );
  const added = await house.ask<PolicyRuleView>('POST', '/policy/rules', {
    rule: { effect: 'deny', tool: 'write_file', path: 'package.json' },
    scope: { agent: 'developer' },
    why: 'it is the project’s',
  });
  const { ask: open, run: rested } = await house.rest(first.id);
  expect([open?.question, rested.outcome]).toEqual(['And now?', null]);
  await house.ask('POST', `/policy/rules/${added.number}/remove`, { why: 'done' });
});

test('arguments, hosts and paths are matched, and the explanation says with what', async () => {
  const rule = (more: Record<string, unknown>) => ({
    rule: { effect: 'deny', tool: '*', ...more },
    scope: {},
    why: 'a test',
  });
  const numbers = await Promise.all(
    [{ arguments: { '/timeout_seconds': '9*' } }, { host: '*.evil.example' }, { path: 'secrets/**' }].map(
      async (more) => {
        const { number } = await house.ask<PolicyRuleView>('POST', '/policy/rules', rule(more));
        return number;
      },
    ),
  );
  const slow = { tool: 'run_command', input: { command: 'ls', timeout_seconds: 900 } };
  expect((await ask(slow)).decision).toBe('deny');
  expect((await ask({ ...slow, input: { command: 'ls', timeout_seconds: 60 } })).decision).toBe('allow');
  expect((await ask({ tool: 'fetch_page', input: { url: 'https://A.EVIL.example./x' } })).decision).toBe(
    'deny',
  );
  expect((await ask({ tool: 'fetch_page', input: { url: 'https://evil.example.org/' } })).decision).toBe(
    'ask',
  );
  expect((await ask({ tool: 'read_file', subject: './secrets//key' })).decision).toBe('deny');
  expect((await ask({ tool: 'read_file', subject: 'src/secrets' })).decision).toBe('allow');
  expect(await ask({ tool: 'run_command', input: { comand: 'ls' } })).toMatchObject({
    code: 'unprocessable',
  });
  expect(await ask({ agent: 'nobody', subject: 'ls' })).toMatchObject({ code: 'not_found' });
  for (const number of numbers) await house.ask('POST', `/policy/rules/${number}/remove`, { why: 'done' });
});
