import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GateClosed } from '../computers/sandbox.ts';
import { AppError } from '../errors.ts';
import { builtinTools, toDefinition } from './catalogue.ts';
import { parseCall } from './parse-call.ts';
import type { ToolContext, ToolOutcome, ToolWorkspace } from './tool.ts';
import { openFolder } from './workspace-fixture.ts';

let folder: string;
let context: ToolContext;
let kept: Map<string, string>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tools-'));
  kept = new Map();
  context = {
    workspace: openFolder(folder),
    baseCommit: 'HEAD',
    intendedAt: new Date('2026-01-02T03:04:05.678Z'),
    outputFile: async () => join(folder, '..', `${folder.split('/').at(-1)}.out`),
    async keep({ path, name }) {
      const id = `art_${kept.size + 1}`;
      kept.set(id, `${name}:${await readFile(path, 'utf8')}`);
      return id;
    },
    signal: new AbortController().signal,
  };
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(`${folder}.out`, { force: true });
});

describe('files', () => {
  test('a file is written, read, edited, and each says what changed', async () => {
    const created = await call('write_file', { path: 'a/b.txt', content: 'one\ntwo\nthree\n' });
    expect(created).toMatchObject({ ok: true, output: 'created a/b.txt (3 lines)' });
    expect(created.diff).toContain('--- /dev/null\n+++ b/a/b.txt\n@@ -0,0 +1,3 @@\n+one\n');
    expect(await call('read_file', { path: './a/b.txt' })).toEqual({ ok: true, output: 'one\ntwo\nthree\n' });
    const edited = await call('edit_file', { path: 'a/b.txt', old_text: 'two', new_text: '2' });
    expect(edited.output).toBe('--- a/a/b.txt\n+++ b/a/b.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n');
    expect(edited.diff).toBe(edited.output);
    expect(await readFile(join(folder, 'a/b.txt'), 'utf8')).toBe('one\n2\nthree\n');
  });

  test('a part of a file says which', async () => {
    await put('n.txt', Array.from({ length: 5_000 }, (_, index) => `line ${index + 1}\n`).join(''));
    const part = await call('read_file', { path: 'n.txt', offset: 3, limit: 2 });
    expect(part.output).toBe('[lines 3 to 4 of 5000; go on with offset 5]\nline 3\nline 4\n');
    const whole = await call('read_file', { path: 'n.txt' });
    expect(whole.output).toMatch(/^\[lines 1 to 2000 of 5000; go on with offset 2001\]/);
    expect(await call('read_file', { path: 'n.txt', offset: 9_000 })).toMatchObject({ ok: false });
    await put('long.txt', 'x'.repeat(200_000));
    const long = await call('read_file', { path: 'long.txt' });
    expect(long.output).toContain('line 1 is cut');
    expect(long.output.length).toBeLessThan(61_000);
  });

  test('what cannot be read is refused with the reason', async () => {
    await put('p.png', Buffer.from('\x89PNG\r\n', 'latin1'));
    await put('bin', Buffer.from([1, 0, 2]));
    await put('big.txt', 'x'.repeat(1024 ** 2 + 1));
    await put('latin.txt', Buffer.from('caf\xe9', 'latin1'));
    const output = async (path: string) => (await call('read_file', { path })).output;
    expect(await output('p.png')).toBe('p.png is not text: a PNG image of 6 bytes');
    expect(await output('bin')).toBe('bin is not text: binary data of 3 bytes');
    expect(await output('big.txt')).toContain('more than the 1048576 that can be read');
    expect(await output('none')).toBe('there is no file none');
    expect(await output('latin.txt')).toBe('caf\ufffd');
    expect(await call('edit_file', { path: 'latin.txt', old_text: 'caf', new_text: 'x' })).toMatchObject({
      ok: false,
      output: expect.stringContaining('not UTF-8'),
    });
  });

  test('an edit that does not fit says where it nearly does', async () => {
    await put('c.ts', 'function add(a, b) {\n\treturn a - b;\n}\nx\nx\n');
    const edit = async (old_text: string, more = {}) =>
      (await call('edit_file', { path: 'c.ts', old_text, new_text: 'y', ...more })).output;
    expect(await edit('x\n')).toContain('stands 2 times in the file, at lines 4, 5');
    expect(await edit('function add(a, b) {\n  return a - b;\n}')).toContain(
      'lines 1 to 3 differ only in white space. The file has there:\nfunction add(a, b) {\n\treturn a - b;\n}',
    );
    expect(await edit('\treturn a + b;')).toContain('line 2 differs in 1 of 1 lines');
    expect(await edit('something else')).toContain('nothing like it');
    expect(await edit('x', { replace_all: true })).toContain('-x\n-x\n+y\n+y\n');
    await put('w.txt', 'a\r\nb\r\n');
    const windows = await call('edit_file', { path: 'w.txt', old_text: 'a\nb', new_text: 'c' });
    expect(windows.output).toContain('ends its lines with \\r\\n');
  });

  test('new_text is taken as it is', async () => {
    await put('d.txt', 'price');
    await call('edit_file', { path: 'd.txt', old_text: 'price', new_text: '$& $1 $$' });
    expect(await readFile(join(folder, 'd.txt'), 'utf8')).toBe('$& $1 $$');
  });

  test('folders are listed and searched', async () => {
    await put('src/a.ts', 'one two\n');
    await put('b.md', 'two\n');
    expect((await call('list_directory', { depth: 2 })).output).toBe('b.md  4\nsrc/\nsrc/a.ts  8');
    expect((await call('search', { pattern: 'two' })).output).toBe('b.md:1: two\nsrc/a.ts:1: one two');
    expect((await call('search', { pattern: 'zzz' })).output).toBe('nothing matches');
  });
});

describe('commands', () => {
  test('exit status, both streams, colours removed', async () => {
    const result = await call('run_command', {
      command: "printf '\\033[31mred\\033[0m\\n1%%\\r100%%\\n'; exit 3",
    });
    expect(result).toMatchObject({ ok: false, exitCode: 3 });
    expect(result.output).toMatch(/^\[exit status 3 after \d\.\d s\]\nred\n100%$/);
    const both = await call('run_command', { command: 'echo 1; echo 2 >&2; echo 3; echo 4 >&2' });
    expect(both.output).toMatch(/\]\n1\n2\n3\n4$/);
    expect(await call('run_command', { command: '[[ a == a ]] && echo "$0"' })).toMatchObject({ ok: true });
  });

  test('a long output is bounded, and kept whole', async () => {
    const result = await call('run_command', { command: 'seq 1 200000' });
    expect(result.output.length).toBeLessThan(12_300);
    expect(result.output).toMatch(/\n2\n[\s\S]*\[… \d+ characters left out …\][\s\S]*\n200000\n/);
    expect(result.artifact).toBe('art_1');
    expect(kept.get('art_1')).toMatch(/^output\.txt:1\n2\n/);
    expect(kept.get('art_1')).toContain('\n100000\n');
    const left = Number(/\[… (\d+) characters/.exec(result.output)?.[1]);
    expect(Math.abs(left + 12_000 - 1_288_895)).toBeLessThan(400);
  });

  test('a short output is not kept', async () => {
    expect(await call('run_command', { command: 'true' })).toMatchObject({ ok: true, exitCode: 0 });
    expect(kept.size).toBe(0);
  });

  test('the time limit and signals are said in words', async () => {
    const slow = await call('run_command', { command: 'sleep 60', timeout_seconds: 1 });
    expect(slow).toMatchObject({ ok: false, output: expect.stringContaining('longer than 1 s') });
    const killed = await call('run_command', { command: 'kill -SEGV $$' });
    expect(killed.output).toContain('SIGSEGV');
  });

  test('what ends the run passes through; every other failure is a result', async () => {
    const failing = (error: Error): ToolWorkspace => ({
      ...context.workspace,
      run: () => Promise.reject(error),
    });
    const run = (workspace: ToolWorkspace, signal = context.signal) =>
      tool('run_command').run({ command: 'true' }, { ...context, workspace, signal });
    await expect(run(failing(new GateClosed('w')))).rejects.toThrow(GateClosed);
    const abort = AbortSignal.abort(new Error('stopped'));
    await expect(run(failing(new Error('x')), abort)).rejects.toThrow('stopped');
    const refused = await run(failing(new AppError('sandbox_unavailable', 'install bubblewrap')));
    expect(refused).toMatchObject({
      result: { ok: false, output: expect.stringContaining('install bubblewrap') },
    });
  });
});

describe('git', () => {
  beforeEach(async () => {
    await put('a.txt', 'one\n');
    const setUp =
      'git init -q -b main && git config user.name Agent && git config user.email a@b && git add . && GIT_COMMITTER_DATE="@1 +0000" GIT_AUTHOR_DATE="@1 +0000" git commit -qm base';
    expect(await call('run_command', { command: setUp })).toMatchObject({ ok: true });
    const head = await call('run_command', { command: 'git rev-parse HEAD' });
    context = { ...context, baseCommit: head.output.split('\n')[1] ?? '' };
  });

  test('status, diff against the base, commit', async () => {
    expect((await call('git_status', {})).output).toBe('## main\nnothing is changed');
    await put('a.txt', 'two\n');
    await put('é new.txt', 'x\n');
    expect((await call('git_status', {})).output).toContain(' M a.txt');
    const diff = await call('git_diff', {});
    expect(diff.output).toContain('-one\n+two');
    expect(diff.output).toContain('not in the diff above:]\né new.txt');
    const committed = await call('git_commit', { message: 'Change it\n\nFor a reason.' });
    expect(committed).toMatchObject({
      ok: true,
      output: expect.stringMatching(/^committed [0-9a-f]{40} Change it\n/),
    });
    expect((await call('git_diff', {})).output).toContain('+++ b/é new.txt');
    expect((await call('git_diff', { base: 'HEAD' })).output).toBe('nothing differs from HEAD');
    expect(await call('git_diff', { base: 'no-such' })).toMatchObject({ ok: false });
  });

  test('a repeat of a commit makes the same object, and a landed one is answered alike', async () => {
    await put('a.txt', 'two\n');
    const first = await call('git_commit', { message: 'again' });
    expect(await call('git_commit', { message: 'again' })).toEqual(first);
    await call('run_command', { command: 'git reset -q --mixed HEAD~1' });
    expect(await call('git_commit', { message: 'again' })).toEqual(first);
  });

  test('nothing to commit is said; hooks of the repository have no say', async () => {
    expect(await call('git_commit', { message: 'x' })).toEqual({
      ok: false,
      output: 'there is nothing to commit: no file differs from the last commit',
    });
    await put('.git/hooks/pre-commit', '#!/bin/sh\nexit 1\n');
    await call('run_command', { command: 'chmod +x .git/hooks/pre-commit; echo 2 > a.txt' });
    expect(await call('git_commit', { message: '--amend' })).toMatchObject({ ok: true });
  });
});

describe('calls as models write them', () => {
  const tools = builtinTools();
  const message = (name: string, text: string) => {
    const parsed = parseCall(tools, name, text);
    return parsed.ok ? 'ok' : `${parsed.errorClass}: ${parsed.message}`;
  };

  test('an unknown tool is told the nearest and all', () => {
    expect(message('readfile', '{}')).toMatch(
      /^unknown_tool: .*Did you mean read_file\? There are: read_file, /,
    );
    expect(message('deploy_everything', '{}')).not.toContain('Did you mean');
  });

  const wrong: [string, string, RegExp][] = [
    ['read_file', '{', /cut off after 1 characters/],
    ['write_file', '{"path":"a","content":"half of', /cut off after 30 characters, at .*half of/],
    ['read_file', '{"path": a}', /not valid JSON: Unexpected token/],
    ['read_file', '["a"]', /must be a JSON object, not array/],
    ['read_file', '', /path is missing: expected string\nread_file takes { path, offset\?, limit\? }/],
    ['read_file', '{"path":3}', /path: expected string, got number \(3\)/],
    ['read_file', '{"path":"a","lines":3}', /unknown argument "lines"/],
    [
      'read_file',
      '{"path":"/etc/passwd"}',
      /path: expected a path inside the workspace.*got "\/etc\/passwd"/,
    ],
    ['read_file', '{"path":"a/../../b"}', /inside the workspace/],
    ['read_file', '{"path":"a","offset":0}', /offset: too small: expected number to be >=1, got 0/],
    ['git_status', '{"x":1}', /unknown argument "x"\ngit_status takes no arguments/],
    ['git_diff', '{"base":"--output=x"}', /expected a commit, branch or tag/],
    ['read_file', '{"path":"a","__proto__":{}}', /unknown argument "__proto__"/],
  ];
  test.each(wrong)('%s %s', (name, text, expected) => {
    expect(message(name, text)).toMatch(expected);
  });

  test('right ones are parsed, paths normalised', () => {
    expect(parseCall(tools, 'read_file', '{"path":"./a//b"}')).toMatchObject({
      ok: true,
      input: { path: 'a/b' },
    });
    expect(parseCall(tools, 'git_status', '')).toMatchObject({ ok: true });
  });

  test('every tool defines itself in JSON Schema', () => {
    for (const definition of tools.map(toDefinition)) {
      expect(definition.inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
      expect(definition.inputSchema).not.toHaveProperty('$schema');
    }
    expect(tools.map(({ name, effect }) => `${name} ${effect}`)).toMatchInlineSnapshot(`
      [
        "read_file read",
        "write_file workspace",
        "edit_file workspace",
        "list_directory read",
        "search read",
        "run_command workspace",
        "git_status read",
        "git_diff read",
        "git_commit workspace",
        "ask_human read",
        "note read",
        "finish_phase read",
      ]
    `);
  });

  test('acts on the run are handed to the loop', async () => {
    const run = (name: string, input: unknown) => tool(name).run(input, context);
    expect(await run('ask_human', { question: 'q' })).toEqual({ kind: 'ask', question: 'q', options: [] });
    expect(await run('note', { text: 't' })).toEqual({ kind: 'note', text: 't' });
    expect(await run('finish_phase', { summary: 's' })).toMatchObject({ kind: 'finish_phase', title: null });
  });
});

function tool(name: string) {
  const found = builtinTools().find((one) => one.name === name);
  if (!found) throw new Error(`no tool ${name}`);
  return found;
}

async function call(name: string, input: unknown) {
  const parsed = parseCall(builtinTools(), name, JSON.stringify(input));
  if (!parsed.ok) throw new Error(parsed.message);
  const outcome: ToolOutcome = await parsed.tool.run(parsed.input, context);
  if (outcome.kind !== 'result') throw new Error(`${name} gave no result`);
  return outcome.result;
}

async function put(path: string, content: string | Buffer) {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}
