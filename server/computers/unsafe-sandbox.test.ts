import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { takeOver } from './gate.ts';
import { identifyProcess } from './processes.ts';
import { GateClosed } from './sandbox.ts';
import { openSandboxFixture, type SandboxFixture } from './sandbox-fixture.ts';
import { openUnsafeSandbox, translator } from './unsafe-sandbox.ts';

let fixture: SandboxFixture;
beforeAll(async () => {
  fixture = await openSandboxFixture(() =>
    Promise.resolve({ ...openUnsafeSandbox(), [Symbol.asyncDispose]: () => Promise.resolve() }),
  );
});
afterAll(() => fixture[Symbol.asyncDispose]());

test('it says what it is, and runs in the real folders', async () => {
  expect(fixture.sandbox.kind).toBe('unsafe');
  const scratch = ['/workspace/build'];
  const argv = [
    '/bin/sh',
    '-c',
    'pwd; echo "$1" > "$2/out"; cat "$3/x"; echo kept > x',
    'sh',
    'a',
    '/workspace',
    scratch[0] ?? '',
  ];
  const result = await fixture.shell('', { argv, scratch });
  expect(result.text).toBe(`${fixture.workspace}\n`);
  expect(await readFile(join(fixture.workspace, 'out'), 'utf8')).toBe('a\n');
});

test('the server’s environment is not passed on, and its home is not the command’s', async () => {
  const { text } = await fixture.shell('env');
  expect(text).not.toMatch(/VITEST|NODE_ENV/);
  expect(text).not.toContain(`HOME=${process.env.HOME}\n`);
});

test('time, abort and daemons are held as behind walls', async () => {
  const late = await fixture.shell('setsid sleep 7020 & sleep 60', { limits: { timeoutMs: 300 } });
  expect(late).toMatchObject({ timedOut: true, exitCode: null });
  const reason = new Error('stop');
  const controller = new AbortController();
  const onOutput = () => controller.abort(reason);
  await expect(fixture.shell('echo on; sleep 60', { onOutput }, controller.signal)).rejects.toBe(reason);
  const daemon = await fixture.shell('setsid nohup sleep 7020 > /dev/null 2>&1 & echo $!');
  expect(daemon.text).toMatch(/^\d+\n$/);
  expect(identifyProcess(Number(daemon.text))).toBeUndefined();
  expect(await fixture.shell('exit 3')).toMatchObject({ exitCode: 3, signal: null });
});

test('the gate is held', async () => {
  const folder = join(fixture.folder, 'gate');
  await mkdir(folder);
  await takeOver(folder, '2', { limitMs: 5_000 });
  await expect(fixture.shell('true', { gate: { folder, token: '1' } })).rejects.toBeInstanceOf(GateClosed);
  expect((await fixture.shell('echo in', { gate: { folder, token: '2' } })).text).toBe('in\n');
});

test('only whole path segments are translated, by the deepest mount', () => {
  const translate = translator([
    { source: '/a', target: '/w' },
    { source: '/b', target: '/w/deep' },
  ]);
  expect(['/w', '/w/x', '/w/deep/x', '/world', 'cat /w/x'].map(translate)).toEqual([
    ...['/a', '/a/x', '/b/x', '/world', 'cat /w/x'],
  ]);
});
