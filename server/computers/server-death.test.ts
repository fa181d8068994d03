import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { openLog } from '../log.ts';
import { findCgroupPlace } from './cgroup.ts';
import { openLocalSandbox } from './local-sandbox.ts';
import { argumentsOf, awaitEnd, identifyProcess } from './processes.ts';

const mark = 'server-death-mark';

/** A server that runs one endless command, and says so when its daemon runs too. */
const server = (folder: string) => `
const { openLocalSandbox } = await import(${JSON.stringify(new URL('./local-sandbox.ts', import.meta.url).href)});
const { openLog } = await import(${JSON.stringify(new URL('../log.ts', import.meta.url).href)});
const sandbox = await openLocalSandbox({ log: openLog('silent'), runtimeFolder: ${JSON.stringify(folder)} });
await sandbox.run({
  argv: ['/bin/sh', '-c', 'setsid sh -c "echo on; sleep 60; :" ${mark} & sleep 60; :', '${mark}'],
  cwd: '/tmp', mounts: [],
  onOutput: () => console.log('on'),
}, new AbortController().signal);`;

test('a command ends with its server, and the next server clears up', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sandbox-test-'));
  const child = spawn(process.execPath, ['--input-type=module', '-e', server(folder)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  await Promise.race([once(createInterface(child.stdout), 'line'), exit]);
  const started = findMarked();
  child.kill('SIGKILL');
  await exit;
  // The two shells, and bwrap around them.
  expect(started.length).toBeGreaterThanOrEqual(4);
  await awaitEnd(started);

  const left = (name: string) => name.includes(`-${child.pid}-`);
  const place = await findCgroupPlace();
  expect((await readdir(folder)).some(left)).toBe(true);
  if (place) expect(readdirSync(place.memory).some(left)).toBe(true);
  const next = await openLocalSandbox({ log: openLog('silent'), runtimeFolder: folder });
  expect((await readdir(folder)).some(left)).toBe(false);
  if (place) expect([...readdirSync(place.memory), ...readdirSync(place.pids)].some(left)).toBe(false);
  await next[Symbol.asyncDispose]();
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
  expect(existsSync(folder)).toBe(false);
});

function findMarked() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && argumentsOf(Number(name)).includes(mark))
    .flatMap((pid) => identifyProcess(Number(pid)) ?? []);
}
