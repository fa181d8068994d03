import { describe, expect, test } from 'vitest';
import { discoverChecks } from './discover.ts';
import { type JudgedCheck, judgeChecks } from './judge-checks.ts';
import { checkScripts, pinPackageJson } from './package-manifest.ts';
import { pinnedChanges, pinnedOverrides } from './pinned-overrides.ts';
import { type PathChange, pinnedPaths } from './pinned-paths.ts';

type Files = Record<string, string>;

describe('discovering', () => {
  const npm = (script: string) => JSON.stringify({ scripts: { test: script } });
  const cases: [string, Files, string[]][] = [
    ['npm', { 'package.json': npm('vitest') }, ['npm test']],
    ['pnpm', { 'package.json': npm('vitest'), 'pnpm-lock.yaml': '' }, ['pnpm test']],
    ['yarn', { 'package.json': npm('vitest'), 'yarn.lock': '' }, ['yarn test']],
    ['npm without tests', { 'package.json': npm('echo "Error: no test specified" && exit 1') }, []],
    ['npm, malformed', { 'package.json': '{' }, []],
    ['npm without scripts', { 'package.json': '{}' }, []],
    ['pytest.ini', { 'pytest.ini': '' }, ['python3 -m pytest']],
    ['pyproject', { 'pyproject.toml': '[tool.pytest.ini_options]\n' }, ['python3 -m pytest']],
    ['a pyproject without', { 'pyproject.toml': '[project]\nname="a"\n' }, []],
    ['tests of pytest', { 'tests/test_a.py': '' }, ['python3 -m pytest']],
    ['other tests', { 'tests/a.js': '' }, []],
    ['go', { 'go.mod': '' }, ['go test ./...']],
    ['cargo', { 'Cargo.toml': '' }, ['cargo test']],
    ['make test', { Makefile: 'all:\n\ttrue\ntest: all\n\ttrue\n' }, ['make test']],
    ['make check', { Makefile: 'check:\n\ttrue\n' }, ['make check']],
    ['a variable of make', { Makefile: 'test := 1\ntests:\n\ttrue\n' }, []],
    ['npm before make', { 'package.json': npm('x'), Makefile: 'test:\n\tnpm test\n' }, ['npm test']],
    ['two ecosystems', { 'package.json': npm('x'), 'go.mod': '' }, ['npm test', 'go test ./...']],
    ['nothing', {}, []],
  ];
  test.each(cases)('%s', async (_name, files, commands) => {
    const found = await discoverChecks({
      exists: async (path) => path in files,
      read: async (path) => files[path] ?? null,
      list: async (folder) =>
        Object.keys(files)
          .filter((path) => path.startsWith(`${folder}/`))
          .map((path) => path.slice(folder.length + 1)),
    });
    expect(found.commands).toEqual(commands);
    expect(found.reason).not.toBe('');
  });
});

const baseFiles: Files = {
  'package.json': JSON.stringify({
    scripts: { test: 'npm run build && node scripts/test.js', build: 'tsc', start: 'node src/main.js' },
    dependencies: { left: '1' },
    devDependencies: { vitest: '^5' },
  }),
  'src/main.js': 'main',
  'scripts/test.js': 'run the tests',
  'test/a.test.js': 'test a',
  'test/b.test.js': 'test b',
  'src/c_test.go': 'test c',
};

/** The diff of two trees, without detection of moves unless they are given. */
function compare(head: Files, moves: Record<string, string> = {}): PathChange[] {
  const paths = new Set([...Object.keys(baseFiles), ...Object.keys(head)]);
  const moved = new Set(Object.values(moves));
  return [...paths].flatMap((path): PathChange[] => {
    const previousPath = moves[path];
    if (previousPath !== undefined) return [{ path, status: 'renamed', previousPath }];
    if (moved.has(path) || baseFiles[path] === head[path]) return [];
    if (!(path in baseFiles)) return [{ path, status: 'added' }];
    return [{ path, status: path in head ? 'modified' : 'deleted' }];
  });
}

async function pin(head: Files, moves?: Record<string, string>) {
  const changedPaths = compare(head, moves);
  const checkCommands = ['npm test'];
  const pinned = pinnedPaths({
    basePaths: Object.keys(baseFiles),
    changedPaths,
    checkCommands,
    scriptsText: checkScripts(baseFiles['package.json'] ?? null, checkCommands),
  });
  const reader = (files: Files) => async (path: string) => {
    const text = files[path];
    return text === undefined ? null : Buffer.from(text);
  };
  const overrides = await pinnedOverrides({ pinned, readBase: reader(baseFiles), readHead: reader(head) });
  const bytes = [...(overrides ?? [])].map(([path, content]) => [path, content?.toString() ?? null]);
  return { overrides: Object.fromEntries(bytes), changes: pinnedChanges(overrides, changedPaths) };
}

function withPackage(edit: (manifest: Record<string, Record<string, string>>) => void): Files {
  const manifest = JSON.parse(baseFiles['package.json'] ?? '');
  edit(manifest);
  return { ...baseFiles, 'package.json': JSON.stringify(manifest) };
}

function without(path: string): Files {
  const { [path]: _, ...rest } = baseFiles;
  return rest;
}

describe('pinning', () => {
  const moved = { ...without('test/b.test.js'), 'test/b.off': 'test b' };
  const attacks: [string, Files, Files | Record<string, null>, Record<string, string>?][] = [
    ['a failing test deleted', without('test/b.test.js'), { 'test/b.test.js': 'test b' }],
    ['a test moved out of the pattern', moved, { 'test/b.test.js': 'test b' }],
    ['the same, told as a move', moved, { 'test/b.test.js': 'test b' }, { 'test/b.off': 'test/b.test.js' }],
    ['.only in a test', { ...baseFiles, 'test/a.test.js': 'test.only a' }, { 'test/a.test.js': 'test a' }],
    ['a test of Go skipped', { ...baseFiles, 'src/c_test.go': 'skip' }, { 'src/c_test.go': 'test c' }],
    [
      'a vitest.config.ts added',
      { ...baseFiles, 'vitest.config.ts': 'exclude' },
      { 'vitest.config.ts': null },
    ],
    ['an .npmrc added', { ...baseFiles, '.npmrc': 'script-shell=/bin/true' }, { '.npmrc': null }],
    [
      'a file of the script edited',
      { ...baseFiles, 'scripts/test.js': '' },
      { 'scripts/test.js': 'run the tests' },
    ],
    ['a file of the script deleted', without('scripts/test.js'), { 'scripts/test.js': 'run the tests' }],
    ['a conftest.py added', { ...baseFiles, 'tests/conftest.py': 'skip' }, { 'tests/conftest.py': null }],
    ['a Makefile added', { ...baseFiles, Makefile: 'test:' }, { Makefile: null }],
    [
      'node_modules committed',
      { ...baseFiles, 'node_modules/.bin/tsc': '' },
      { 'node_modules/.bin/tsc': null },
    ],
    ['a tsconfig.json added', { ...baseFiles, 'tsconfig.json': '{}' }, { 'tsconfig.json': null }],
    ['package.json deleted', without('package.json'), { 'package.json': baseFiles['package.json'] ?? '' }],
  ];
  test.each(attacks)('%s', async (_name, head, overrides, moves) => {
    const pinned = await pin(head, moves);
    expect(pinned.overrides).toEqual(overrides);
    expect(pinned.changes.map(({ path }) => path)).toEqual(Object.keys(overrides));
  });

  const benign: [string, Files][] = [
    ['a new test', { ...baseFiles, 'test/c.test.js': 'test c' }],
    ['a dependency', withPackage((manifest) => Object.assign(manifest.dependencies ?? {}, { right: '2' }))],
    ['a source', { ...baseFiles, 'src/main.js': 'better' }],
    ['a package of its own', { ...baseFiles, 'packages/x/package.json': '{"scripts":{"test":"x"}}' }],
    ['nothing', baseFiles],
  ];
  test.each(benign)('does not hold back %s', async (_name, head) => {
    expect(await pin(head)).toEqual({ overrides: {}, changes: [] });
  });

  test('a test script of `exit 0` is put back, the new dependency beside it stays', async () => {
    const head = withPackage((manifest) => {
      Object.assign(manifest.scripts ?? {}, { test: 'exit 0', pretest: 'x' });
      Object.assign(manifest.dependencies ?? {}, { right: '2' });
    });
    const pinned = JSON.parse((await pin(head)).overrides['package.json'] ?? '');
    expect(pinned.scripts).toEqual(JSON.parse(baseFiles['package.json'] ?? '').scripts);
    expect(pinned.dependencies).toEqual({ left: '1', right: '2' });
  });

  test('an existing test that is extended is put back and shown', async () => {
    const pinned = await pin({ ...baseFiles, 'test/a.test.js': 'test a\ntest more' });
    expect(pinned.changes).toEqual([{ path: 'test/a.test.js', status: 'modified' }]);
  });

  test('keys of check tools, and exchanged check tools, are noticed', () => {
    const base = '{"name":"a","devDependencies":{"vitest":"^5"}}';
    expect(pinPackageJson(base, '{"name":"b","devDependencies":{"vitest":"^5"}}')).toBeNull();
    const jest = '{"name":"a","devDependencies":{"vitest":"^5"},"jest":{"testMatch":[]}}';
    expect(JSON.parse(pinPackageJson(base, jest) ?? '')).not.toHaveProperty('jest');
    expect(pinPackageJson(base, '{"name":"a","devDependencies":{"vitest":"file:./fake"}}')).not.toBeNull();
    expect(pinPackageJson(base, '{')).toBe(base);
  });

  test('only the scripts that the checks run name files', () => {
    const scripts = checkScripts(baseFiles['package.json'] ?? null, ['npm test']);
    expect(scripts).toContain('tsc');
    expect(scripts).not.toContain('main.js');
  });
});

describe('judging', () => {
  const green: JudgedCheck = { command: 'npm test', exitCode: 0, outcome: 'passed', excerpt: 'ok' };
  const red: JudgedCheck = { command: 'npm test', exitCode: 1, outcome: 'failed', excerpt: '1 failed: adds' };
  const clean = { base: [green], change: [green], pinned: null, pinnedChanges: [], changedFiles: ['a'] };
  const touched = [{ path: 'test/a.test.js', status: 'modified' }];

  test('green, with nothing pinned, passes', () => {
    expect(judgeChecks(clean)).toEqual({ verdict: 'passed', needsHuman: false });
  });

  test('a commit of nothing is red', () => {
    const verdict = judgeChecks({ ...clean, changedFiles: [] });
    expect(verdict).toMatchObject({
      verdict: 'red',
      guidance: expect.stringContaining('Nothing was committed'),
    });
  });

  test('red says command, exit status and output, and whether the base was red', () => {
    const verdict = judgeChecks({ ...clean, change: [red] });
    expect(verdict).toMatchObject({ verdict: 'red' });
    const guidance = verdict.verdict === 'red' ? verdict.guidance : '';
    expect(guidance).toContain('$ npm test\nexit status 1\n1 failed: adds');
    expect(guidance).not.toContain('before your change');
    expect(judgeChecks({ ...clean, base: [red], change: [red] })).toMatchObject({
      guidance: expect.stringContaining('failed before your change too'),
    });
    expect(
      judgeChecks({ ...clean, change: [{ ...red, exitCode: null, outcome: 'timed_out' }] }),
    ).toMatchObject({ guidance: expect.stringContaining('timed out') });
  });

  test('green, but red under the original tests, asks and names them', () => {
    const verdict = judgeChecks({ ...clean, pinned: [red], pinnedChanges: touched });
    expect(verdict).toMatchObject({ verdict: 'ask' });
    const question = verdict.verdict === 'ask' ? verdict.question : '';
    expect(question).toContain('test/a.test.js (modified)');
    expect(question).toContain('fail under the original tests');
  });

  test('green under the original tests too passes, for a person to look at', () => {
    const verdict = judgeChecks({ ...clean, pinned: [green], pinnedChanges: touched });
    expect(verdict).toEqual({ verdict: 'passed', needsHuman: true });
  });

  test.each([[null], [[]]])('touched tests that did not run pinned (%j) ask', (pinned) => {
    expect(judgeChecks({ ...clean, pinned, pinnedChanges: touched })).toMatchObject({ verdict: 'ask' });
  });

  test('no checks at all asks', () => {
    expect(judgeChecks({ ...clean, base: [], change: [] })).toMatchObject({ verdict: 'ask' });
  });
});
