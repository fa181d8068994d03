import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommandError } from '../exit-status.ts';
import { ensureServer } from './server-process.ts';

const root = join(import.meta.dirname, '..', '..');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

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
