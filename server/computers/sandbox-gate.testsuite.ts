import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { takeOver } from './gate.ts';
import { GateClosed } from './sandbox.ts';
import type { SandboxFixture } from './sandbox-fixture.ts';

export function describeGate(lent: () => SandboxFixture): void {
  let count = 0;
  const newFolder = () => join(lent().folder, `gate-${++count}`);
  const take = (folder: string, token: string) =>
    takeOver(folder, token, { limitMs: 10_000, sandbox: lent().sandbox });

  describe('the gate', () => {
    test('lets the holder run commands, several at once, and keeps no record of them', async () => {
      const folder = newFolder();
      await take(folder, '1');
      const gate = { folder, token: '1' };
      const results = await Promise.all([1, 2, 3].map((n) => lent().shell(`sleep 0.2; echo ${n}`, { gate })));
      expect(results.map(({ text }) => text)).toEqual(['1\n', '2\n', '3\n']);
      expect((await readdir(folder)).sort()).toEqual(['lock', 'token']);
    });

    test('lets an older token, an unknown one and an empty folder start nothing', async () => {
      const folder = newFolder();
      await take(folder, '9');
      await take(folder, '10');
      for (const token of ['9', '11', '10 ', '']) {
        await expect(lent().shell('touch thawed', { gate: { folder, token } })).rejects.toBeInstanceOf(
          GateClosed,
        );
      }
      expect(existsSync(join(lent().workspace, 'thawed'))).toBe(false);
      const empty = { folder: newFolder(), token: '1' };
      await expect(lent().shell('true', { gate: empty })).rejects.toBeInstanceOf(GateClosed);
      expect((await lent().shell('echo in', { gate: { folder, token: '10' } })).text).toBe('in\n');
    });

    test('lets a new holder end the command that runs under an older token', async () => {
      const folder = newFolder();
      await take(folder, '1');
      const started = Promise.withResolvers<void>();
      const running = lent().shell(
        'setsid sh -c "while :; do date >> tick; echo on; sleep 0.01; done" & sleep 60',
        { gate: { folder, token: '1' }, onOutput: () => started.resolve() },
      );
      await started.promise;
      await take(folder, '2');
      const ticks = await readFile(join(lent().workspace, 'tick'));
      expect(await running).toMatchObject({ exitCode: null, signal: 'SIGKILL', timedOut: false });
      const seen = await lent().shell('cat tick', { gate: { folder, token: '2' } });
      expect(seen.stdout.equals(ticks)).toBe(true);
      const late = lent().shell('true', { gate: { folder, token: '1' } });
      await expect(late).rejects.toBeInstanceOf(GateClosed);
    });

    test('lets an older holder take nothing over', async () => {
      const folder = newFolder();
      await take(folder, '10');
      const started = Promise.withResolvers<void>();
      const running = lent().shell('echo on; sleep 0.3; echo off', {
        gate: { folder, token: '10' },
        onOutput: () => started.resolve(),
      });
      await started.promise;
      await expect(take(folder, '9')).rejects.toBeInstanceOf(GateClosed);
      expect((await running).text).toBe('on\noff\n');
      await expect(take(folder, '../x')).rejects.toBeInstanceOf(TypeError);
    });
  });
}
