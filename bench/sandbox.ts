import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeOver } from '../server/computers/gate.ts';
import { openLocalSandbox } from '../server/computers/local-sandbox.ts';
import type { Command } from '../server/computers/sandbox.ts';
import { openSandboxRuntime } from './contenders/sandbox-runtime.ts';
import { atMost, report, rounded } from './measure/report.ts';
import { median, quantile, timed } from './measure/statistics.ts';
import { log } from './measure/store.ts';

const repeats = 200;
const warmUp = 5;
const program = '/bin/true';

await using stack = new AsyncDisposableStack();
const folder = await mkdtemp(join(tmpdir(), 'mission-bench-'));
stack.defer(() => rm(folder, { recursive: true, force: true }));
const [workspace, gateFolder] = [join(folder, 'workspace'), join(folder, 'gate')];
await mkdir(workspace);
await takeOver(gateFolder, '1', { limitMs: 5_000 });
const sandbox = stack.use(await openLocalSandbox({ log, runtimeFolder: join(folder, 'runtime') }));
const command: Command = {
  argv: [program],
  cwd: '/workspace',
  mounts: [{ source: workspace, target: '/workspace', mode: 'write' }],
};
const gated: Command = { ...command, gate: { folder: gateFolder, token: '1' } };
const inSandbox = async (each: Command) => {
  const result = await sandbox.run(each, AbortSignal.timeout(30_000));
  if (result.exitCode !== 0) throw new Error(`the command failed: ${result.stderr}`);
};

const plain = 'plain spawn';
const walled = 'ours: sandbox';
const withGate = 'ours: sandbox with the gate of a lease';
const ways = new Map<string, () => Promise<void>>([
  [plain, () => spawned(program, [])],
  [walled, () => inSandbox(command)],
  [withGate, () => inSandbox(gated)],
]);
const peer = await openSandboxRuntime(workspace);
if (typeof peer === 'string') console.log(`not measured beside us: ${peer}`);
else {
  stack.use(peer);
  ways.set('sandbox-runtime, as a library', async () => {
    const line = await peer.wrap(program);
    await spawned('/bin/bash', ['-c', line]);
  });
}

const times = new Map([...ways.keys()].map((name) => [name, [] as number[]]));
for (let repeat = -warmUp; repeat < repeats; repeat++) {
  // Each way follows each other one alike: what a sandbox leaves to clean up falls on whoever comes next.
  for (const [name, way] of rotated([...ways], repeat + warmUp)) {
    const ms = await timed(way);
    if (repeat >= 0) times.get(name)?.push(ms);
  }
}
const overPlain = (name: string) => median(times.get(name) ?? []) - median(times.get(plain) ?? []);
report(
  'sandbox',
  [...times].map(([way, all]) => ({
    way,
    'median ms': rounded(median(all)),
    'p95 ms': rounded(quantile(all, 0.95)),
    'over a plain spawn, ms': rounded(overPlain(way)),
  })),
  [
    atMost('sandbox, over a plain spawn', overPlain(walled), 10, 'ms'),
    atMost('sandbox with gate, over a plain spawn', overPlain(withGate), 10, 'ms'),
  ],
);

function rotated<T>(items: readonly T[], by: number): T[] {
  const first = by % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

async function spawned(file: string, args: string[]): Promise<void> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.resume();
  child.stderr.resume();
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${file} ended with ${code}`);
}
