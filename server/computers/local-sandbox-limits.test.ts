import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeSandbox } from './probe-sandbox.ts';
import { argumentsOf } from './processes.ts';
import { maxCapturedBytes, maxOutputFileBytes } from './sandbox.ts';
import { openSandboxFixture, type SandboxFixture } from './sandbox-fixture.ts';

const { cgroups } = await probeSandbox();
let fixture: SandboxFixture;
beforeAll(async () => {
  fixture = await openSandboxFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());

/** Whether any process of the machine has this text among its arguments. */
function isRunning(mark: string): boolean {
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && argumentsOf(Number(name)).includes(mark));
}

describe('nothing outlives a command', () => {
  const daemons = (mark: string) =>
    `setsid nohup sleep ${mark} >/dev/null 2>&1 < /dev/null & (setsid sh -c "sleep ${mark} & sleep ${mark}" &) ; sleep 0.1`;

  test('when it ends by itself', async () => {
    const result = await fixture.shell(`${daemons('7001')}; pgrep -c sleep`);
    expect(Number(result.text)).toBeGreaterThanOrEqual(3);
    expect(isRunning('7001')).toBe(false);
  });

  test('when its time is over', async () => {
    const result = await fixture.shell(`${daemons('7002')}; trap "" TERM INT; sleep 60; sleep 7002`, {
      limits: { timeoutMs: 500 },
    });
    expect(result).toMatchObject({ timedOut: true, exitCode: null, signal: 'SIGKILL' });
    expect(result.durationMs).toBeLessThan(5_000);
    expect(isRunning('7002')).toBe(false);
  });

  test('when it is aborted, which rejects with the reason', async () => {
    const controller = new AbortController();
    const reason = new Error('stopped by hand');
    const onOutput = () => controller.abort(reason);
    const run = fixture.shell(`${daemons('7003')}; echo ready; sleep 60`, { onOutput }, controller.signal);
    await expect(run).rejects.toBe(reason);
    expect(isRunning('7003')).toBe(false);
    await expect(fixture.shell('true', {}, AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test('and it is awaited though it closes its output', async () => {
    const { durationMs } = await fixture.shell('exec >&- 2>&-; sleep 0.3; touch late');
    expect(durationMs).toBeGreaterThan(290);
    expect(existsSync(join(fixture.workspace, 'late'))).toBe(true);
  });
});

describe('limits', () => {
  const hog = (megabytes: number) =>
    `node -e 'const a = []; for (let i = 0; i < ${megabytes}; i++) a.push(Buffer.alloc(2 ** 20, 1)); console.log(a.length)'`;

  test.runIf(cgroups !== 'none')('memory', async () => {
    const limits = { memoryBytes: 256 * 2 ** 20 };
    const over = await fixture.shell(hog(600), { limits });
    expect(over).toMatchObject({ outOfMemory: true, text: '' });
    expect(over.exitCode).not.toBe(0);
    const within = await fixture.shell(hog(100), { limits });
    expect(within).toMatchObject({ outOfMemory: false, text: '100\n', exitCode: 0 });
    const disk = await fixture.shell('head -c 600M /dev/zero > /tmp/big; echo status $?', { limits });
    expect(disk.text).not.toBe('status 0\n');
  });

  test.runIf(cgroups !== 'none')('processes: a fork bomb is contained', async () => {
    const limits = { processes: 40, timeoutMs: 1_500 };
    const bomb = await fixture.shell('bomb() { bomb | bomb & }; bomb; sleep 7010', { limits });
    expect(bomb.timedOut || bomb.exitCode !== 0).toBe(true);
    expect(isRunning('7010')).toBe(false);
    const many = await fixture.shell('for i in $(seq 100); do sleep 7011 & done; wait', { limits });
    expect(many.stderr.toString()).toContain('Resource temporarily unavailable');
    const few = await fixture.shell('for i in $(seq 20); do true & done; wait; echo done', { limits });
    expect(few).toMatchObject({ text: 'done\n', exitCode: 0 });
  });

  test('processor time of a process', async () => {
    const result = await fixture.shell('', {
      argv: ['/bin/sh', '-c', 'while :; do :; done'],
      limits: { cpuSeconds: 1 },
    });
    expect(result).toMatchObject({ exitCode: null, timedOut: false });
    expect(['SIGXCPU', 'SIGKILL']).toContain(result.signal);
  });

  test('the size of a file', async () => {
    const limits = { fileBytes: 2 ** 20 };
    expect(await fixture.shell('exec head -c 3M /dev/zero > big', { limits })).toMatchObject({
      signal: 'SIGXFSZ',
    });
    expect((await stat(join(fixture.workspace, 'big'))).size).toBe(2 ** 20);
    expect((await fixture.shell('head -c 1M /dev/zero > fits', { limits })).exitCode).toBe(0);
  });

  test.runIf(cgroups === 'v1')('leave no control group behind', async () => {
    const own = /memory:(.*)/.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '';
    const homes = readdirSync(join('/sys/fs/cgroup/memory', own)).filter((name) =>
      name.includes(`-${process.pid}-`),
    );
    for (const home of homes) {
      const groups = readdirSync(join('/sys/fs/cgroup/memory', own, home), { withFileTypes: true });
      expect(groups.filter((entry) => entry.isDirectory())).toEqual([]);
    }
  });
});

describe('output', () => {
  test('is kept in bounds, and whole in the file', async () => {
    const outputFile = join(fixture.folder, 'output');
    const result = await fixture.shell('head -c 40M /dev/zero | tr "\\0" a; echo end; echo bad >&2', {
      outputFile,
    });
    expect(result.stdout.length).toBe(maxCapturedBytes);
    expect(result).toMatchObject({ stdoutTruncated: true, stderrTruncated: false });
    expect(result.outputBytes).toBe(40 * 2 ** 20 + 8);
    expect((await stat(outputFile)).size).toBe(result.outputBytes);
  });

  test('ends in the file with a mark', async () => {
    const outputFile = join(fixture.folder, 'output');
    const result = await fixture.shell('head -c 257M /dev/zero', { outputFile });
    expect(result.outputBytes).toBe(257 * 2 ** 20);
    const { size } = await stat(outputFile);
    expect(size).toBeGreaterThan(maxOutputFileBytes);
    expect(size).toBeLessThan(maxOutputFileBytes + 200);
  });

  test('that cannot be written is an error before the start', async () => {
    const outputFile = join(fixture.folder, 'missing', 'output');
    await expect(fixture.shell('touch started', { outputFile })).rejects.toThrow(/ENOENT/);
    expect(existsSync(join(fixture.workspace, 'started'))).toBe(false);
  });
});
