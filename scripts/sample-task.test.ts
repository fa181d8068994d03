import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '..');

const toolCall = z.object({ name: z.string(), input: z.record(z.string(), z.string().or(z.number())) });
const turn = z.object({
  turn: z.number(),
  expect: z.object({
    contains: z.array(z.string()).default([]),
    requestContains: z.array(z.string()).default([]),
  }),
  answer: z.object({ toolCalls: z.array(toolCall) }),
});
type ToolCall = z.infer<typeof toolCall>;

let workspace: string;
beforeAll(async () => {
  workspace = await mkdtemp(join(tmpdir(), 'sample-task-'));
  await cp(join(root, 'examples', 'hourglass'), workspace, { recursive: true });
  await execute('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: workspace });
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', '--all');
  await git('commit', '--quiet', '--message=base');
});
afterAll(() => rm(workspace, { recursive: true, force: true }));

test('the recording does what it says, and what it expects is what its calls bring about', async () => {
  const turns = await readTurns();
  const task = await readFile(join(root, 'examples', 'hourglass.task.md'), 'utf8');
  let seen = task;
  let failures = 0;
  for (const [index, each] of turns.entries()) {
    expect(each.turn).toBe(index);
    for (const text of each.expect.requestContains) expect(task).toContain(text);
    for (const text of each.expect.contains) expect(seen, `turn ${index}`).toContain(text);
    const outputs = [];
    for (const call of each.answer.toolCalls) outputs.push(await perform(call));
    seen = outputs.join('\n');
    failures += /fail [1-9]/.test(seen) ? 1 : 0;
  }
  expect(failures).toBe(2);
  expect(await git('status', '--porcelain')).toBe('');
  expect(await git('log', '--format=%s')).toBe(
    'Carry rounded units in format, and read and write ISO 8601\nbase\n',
  );
  expect(await git('diff', '--name-only', 'HEAD~1', '--', 'package.json', 'test')).toBe(
    'test/iso.test.js\ntest/rounding.test.js\n',
  );
  expect(await shell('npm test')).toContain('pass 23');
});

async function readTurns() {
  const text = await readFile(join(root, 'recordings', 'sample-task.jsonl'), 'utf8');
  const [header, ...lines] = text.trimEnd().split('\n');
  expect(JSON.parse(header ?? '')).toMatchObject({ recording: 1, model: 'recorded/sample-task' });
  return lines.map((line) => turn.parse(JSON.parse(line)));
}

async function perform({ name, input }: ToolCall): Promise<string> {
  const path = join(workspace, String(input.path ?? ''));
  switch (name) {
    case 'read_file':
      return readFile(path, 'utf8');
    case 'write_file':
      await writeFile(path, String(input.content));
      return '';
    case 'edit_file':
      return edit(path, String(input.old_text), String(input.new_text));
    case 'list_directory':
      return shell('find . -not -path "./node_modules*" -not -path "./.git*" | sed "s,^\\./,,"');
    case 'search':
      return shell(`grep -rnE --exclude-dir=node_modules '${input.pattern}' .`);
    case 'run_command':
      return shell(String(input.command));
    case 'git_status':
      return git('status', '--short');
    case 'git_diff':
      return shell('git diff HEAD && git ls-files --others --exclude-standard');
    case 'git_commit':
      await git('add', '--all');
      return git('commit', `--message=${input.message}`);
    case 'note':
    case 'finish_phase':
      return '';
    default:
      throw new Error(`the recording calls ${name}`);
  }
}

async function edit(path: string, oldText: string, newText: string): Promise<string> {
  const before = await readFile(path, 'utf8');
  expect(before.split(oldText).length - 1, `${path} holds the old text once`).toBe(1);
  await writeFile(
    path,
    before.replace(oldText, () => newText),
  );
  return `+${newText}`;
}

async function shell(command: string): Promise<string> {
  const { stdout, stderr } = await execute('bash', ['-c', `${command} 2>&1 || true`], {
    cwd: workspace,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  return stdout + stderr;
}

async function git(...args: string[]): Promise<string> {
  const identity = ['-c', 'user.name=Sample', '-c', 'user.email=sample@localhost'];
  return (await execute('git', [...identity, ...args], { cwd: workspace })).stdout;
}
