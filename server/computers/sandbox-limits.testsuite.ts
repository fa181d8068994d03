import { existsSync, readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { argumentsOf } from './processes.ts';
import { maxCapturedBytes, maxOutputFileBytes } from './sandbox.ts';
import type { Driver } from './sandbox-contract.testsuite.ts';
import type { SandboxFixture } from './sandbox-fixture.ts';

/** Whether any process of the machine has this text among its arguments. */
function isRunning(mark: string): boolean {
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && argumentsOf(Number(name)).includes(mark));
}

let marks = 0;
/** An argument that no other test's processes have. */
const newMark = () => `${process.pid}.${++marks}`;

export function describeLimits(lent: () => SandboxFixture, driver: Driver): void {
  describeEnd(lent);
  describeAmounts(lent, driver);
  describeOutput(lent);
}

function describeEnd(lent: () => SandboxFixture): void {
  describe('nothing outlives a command', () => {
    const daemons = (mark: string) =>
      `setsid nohup sleep ${mark} >/dev/null 2>&1 < /dev/null & (setsid sh -c "sleep ${mark} & sleep ${mark}" &) ; while [ "$(pgrep -c sleep)" -lt 3 ]; do :; done`;

    test('when it ends by itself', async () => {
      const mark = newMark();
      const result = await lent().shell(`${daemons(mark)}; pgrep -c sleep`);
      expect(Number(result.text)).toBeGreaterThanOrEqual(3);
      expect(isRunning(mark)).toBe(false);
    });

    test('when its time is over', async () => {
      const mark = newMark();
      const result = await lent().shell(`${daemons(mark)}; trap "" TERM INT; sleep 60; sleep ${mark}`, {
        limits: { timeoutMs: 1_000 },
      });
      expect(result).toMatchObject({ timedOut: true, exitCode: null, signal: 'SIGKILL' });
      expect(result.durationMs).toBeLessThan(6_000);
      expect(isRunning(mark)).toBe(false);
    });

    test('when it is aborted, which rejects with the reason', async () => {
      const mark = newMark();
      const controller = new AbortController();
      const reason = new Error('stopped by hand');
      const onOutput = () => controller.abort(reason);
      const run = lent().shell(`${daemons(mark)}; echo ready; sleep 60`, { onOutput }, controller.signal);
      await expect(run).rejects.toBe(reason);
      expect(isRunning(mark)).toBe(false);
      await expect(lent().shell('true', {}, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test('and it is awaited though it closes its output', async () => {
      const { durationMs } = await lent().shell('exec >&- 2>&-; sleep 0.3; touch late');
      expect(durationMs).toBeGreaterThan(290);
      expect(existsSync(join(lent().workspace, 'late'))).toBe(true);
    });
  });
}

function describeAmounts(lent: () => SandboxFixture, driver: Driver): void {
  describe('limits', () => {
    const hog = (megabytes: number) =>
      `node -e 'const a = []; for (let i = 0; i < ${megabytes}; i++) a.push(Buffer.alloc(2 ** 20, 1)); console.log(a.length)'`;

    test.runIf(driver.limitsWhole)('memory, /tmp included', async () => {
      const limits = { memoryBytes: 256 * 2 ** 20 };
      const over = await lent().shell(hog(600), { limits });
      expect(over).toMatchObject({ outOfMemory: true, text: '' });
      expect(over.exitCode).not.toBe(0);
      expect(over.durationMs).toBeLessThan(5_000);
      const within = await lent().shell(hog(100), { limits });
      expect(within).toMatchObject({ outOfMemory: false, text: '100\n', exitCode: 0 });
      const disk = await lent().shell('head -c 600M /dev/zero > /tmp/big; echo status $?', { limits });
      expect(disk.text).not.toBe('status 0\n');
    });

    test.runIf(driver.limitsWhole)(
      'processes: a fork bomb is contained, and its neighbours live',
      async () => {
        const mark = newMark();
        const limits = { processes: 40, timeoutMs: 1_500 };
        const bombing = lent().shell(`bomb() { bomb | bomb & }; bomb; sleep ${mark}`, { limits });
        const neighbour = await lent().shell('for i in $(seq 20); do true & done; wait; echo done', {
          limits: { processes: 40 },
        });
        expect(neighbour).toMatchObject({ text: 'done\n', exitCode: 0 });
        const bomb = await bombing;
        expect(bomb.timedOut || bomb.exitCode !== 0).toBe(true);
        expect(bomb.durationMs).toBeLessThan(5_000);
        expect(isRunning(mark)).toBe(false);
        const many = await lent().shell(`for i in $(seq 100); do sleep ${mark} & done; wait`, { limits });
        expect(many.stderr.toString()).toContain('Resource temporarily unavailable');
      },
    );

    test('processor time of a process', async () => {
      const argv = ['/bin/sh', '-c', 'while :; do :; done'];
      const result = await lent().shell('', { argv, limits: { cpuSeconds: 1 } });
      expect(result).toMatchObject({ exitCode: null, timedOut: false });
      expect(['SIGXCPU', 'SIGKILL']).toContain(result.signal);
    });

    test('the size of a file', async () => {
      const limits = { fileBytes: 2 ** 20 };
      expect(await lent().shell('exec head -c 3M /dev/zero > big', { limits })).toMatchObject({
        signal: 'SIGXFSZ',
      });
      expect((await stat(join(lent().workspace, 'big'))).size).toBe(2 ** 20);
      expect((await lent().shell('head -c 1M /dev/zero > fits', { limits })).exitCode).toBe(0);
    });
  });
}

function describeOutput(lent: () => SandboxFixture): void {
  describe('output', () => {
    test('is kept in bounds, and whole in the file', async () => {
      const outputFile = join(lent().folder, 'output');
      const result = await lent().shell('head -c 40M /dev/zero | tr "\\0" a; echo end; echo bad >&2', {
        outputFile,
      });
      expect(result.stdout.length).toBe(maxCapturedBytes);
      expect(result).toMatchObject({ stdoutTruncated: true, stderrTruncated: false });
      expect(result.outputBytes).toBe(40 * 2 ** 20 + 8);
      expect((await stat(outputFile)).size).toBe(result.outputBytes);
    });

    test('ends in the file with a mark', async () => {
      const outputFile = join(lent().folder, 'output');
      const result = await lent().shell('head -c 257M /dev/zero', { outputFile });
      expect(result.outputBytes).toBe(257 * 2 ** 20);
      const { size } = await stat(outputFile);
      expect(size).toBeGreaterThan(maxOutputFileBytes);
      expect(size).toBeLessThan(maxOutputFileBytes + 200);
    });

    test('that cannot be written is an error before the start', async () => {
      const outputFile = join(lent().folder, 'missing', 'output');
      await expect(lent().shell('touch started', { outputFile })).rejects.toThrow(/ENOENT/);
      expect(existsSync(join(lent().workspace, 'started'))).toBe(false);
    });
  });
}
