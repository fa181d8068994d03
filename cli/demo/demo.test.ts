import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommandError } from '../exit-status.ts';
import { makeSampleRepository, readSampleTask } from './sample-repository.ts';
import { ensureServer } from './server-process.ts';

const execute = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const examples = join(root, 'examples');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a sample repository is bare, holds one commit, the same each time, in a folder of its own', async () => {
  const one = await makeSampleRepository(examples, 'hourglass', join(folder, 'demo'));
  const two = await makeSampleRepository(examples, 'hourglass', join(folder, 'demo'));
  expect([one, two]).toEqual([
    join(folder, 'demo', 'hourglass-1.git'),
    join(folder, 'demo', 'hourglass-2.git'),
  ]);
  const git = async (...args: string[]) => (await execute('git', args, { cwd: folder })).stdout.trim();
  const heads = await Promise.all([one, two].map((each) => git(`--git-dir=${each}`, 'rev-parse', 'main')));
  expect(heads[0]).toBe(heads[1]);
  expect(await git(`--git-dir=${one}`, 'rev-list', '--count', '--all')).toBe('1');
  const files = await git(`--git-dir=${one}`, 'ls-tree', '-r', '--name-only', 'main');
  expect(files.split('\n')).toContain('package-lock.json');
  expect(files).not.toContain('node_modules');
});

test('the sample task has a title and says what is wanted', async () => {
  const { title, instructions } = await readSampleTask(examples, 'hourglass');
  expect(title).toBe('Fix how hourglass carries a rounded unit, and teach it ISO 8601');
  expect(instructions).toMatch(/^1\. A bug\./);
});

test('a port that a stranger holds is said plainly, and a file left by a dead server is no server', async () => {
  await writeFile(
    join(folder, 'cli.json'),
    JSON.stringify({ url: 'http://127.0.0.1:9', key: 'k', pid: 2 ** 22 + 1 }),
  );
  await using stranger = createServer();
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  const address = stranger.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const options = { root, home: folder, port: address.port, say: () => undefined };
  const refusal = ensureServer(options, new AbortController().signal);
  await expect(refusal).rejects.toThrow(CommandError);
  await expect(refusal).rejects.toThrow(`Port ${address.port} is taken`);
});
