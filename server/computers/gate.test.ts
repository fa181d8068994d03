import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { takeOver } from './gate.ts';
import { GateClosed } from './sandbox.ts';
import { openSandboxFixture, type SandboxFixture } from './sandbox-fixture.ts';

let fixture: SandboxFixture;
let count = 0;
beforeAll(async () => {
  fixture = await openSandboxFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());

const newFolder = () => join(fixture.folder, `gate-${++count}`);
const limit = { limitMs: 5_000 };

test('the holder runs commands, several at once, and leaves no record of them', async () => {
  const folder = newFolder();
  await takeOver(folder, '1', limit);
  const gate = { folder, token: '1' };
  const results = await Promise.all([1, 2, 3].map((n) => fixture.shell(`sleep 0.2; echo ${n}`, { gate })));
  expect(results.map(({ text }) => text)).toEqual(['1\n', '2\n', '3\n']);
  expect((await readdir(folder)).sort()).toEqual(['lock', 'token']);
});

test('an older token, an unknown one and an empty folder start nothing', async () => {
  const folder = newFolder();
  await takeOver(folder, '9', limit);
  await takeOver(folder, '10', limit);
  for (const token of ['9', '11', '10 ', '']) {
    await expect(fixture.shell('touch thawed', { gate: { folder, token } })).rejects.toBeInstanceOf(
      GateClosed,
    );
  }
  expect(existsSync(join(fixture.workspace, 'thawed'))).toBe(false);
  await expect(fixture.shell('true', { gate: { folder: newFolder(), token: '1' } })).rejects.toBeInstanceOf(
    GateClosed,
  );
  expect((await fixture.shell('echo in', { gate: { folder, token: '10' } })).text).toBe('in\n');
});

test('a new holder ends the command that runs under an older token', async () => {
  const folder = newFolder();
  await takeOver(folder, '1', limit);
  const started = Promise.withResolvers<void>();
  const running = fixture.shell(
    'setsid sh -c "while :; do date >> tick; echo on; sleep 0.01; done" & sleep 60',
    {
      gate: { folder, token: '1' },
      onOutput: () => started.resolve(),
    },
  );
  await started.promise;
  await takeOver(folder, '2', limit);
  const ticks = await readFile(join(fixture.workspace, 'tick'));
  expect(await running).toMatchObject({ exitCode: null, signal: 'SIGKILL', timedOut: false });
  const seen = await fixture.shell('cat tick', { gate: { folder, token: '2' } });
  expect(seen.stdout.equals(ticks)).toBe(true);
  await expect(fixture.shell('true', { gate: { folder, token: '1' } })).rejects.toBeInstanceOf(GateClosed);
});

test('an older holder takes nothing over', async () => {
  const folder = newFolder();
  await takeOver(folder, '10', limit);
  const gate = { folder, token: '10' };
  const started = Promise.withResolvers<void>();
  const running = fixture.shell('echo on; sleep 0.3; echo off', { gate, onOutput: () => started.resolve() });
  await started.promise;
  await expect(takeOver(folder, '9', limit)).rejects.toBeInstanceOf(GateClosed);
  expect((await running).text).toBe('on\noff\n');
  await expect(takeOver(folder, '../x', limit)).rejects.toBeInstanceOf(TypeError);
});
