import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { takeOver } from '../server/computers/gate.ts';
import { openLocalSandbox } from '../server/computers/local-sandbox.ts';
import type { Command } from '../server/computers/sandbox.ts';
import { openSandboxRuntime } from './contenders/sandbox-runtime.ts';
import { atMost, report, rounded } from './measure/report.ts';
import { median, quantile, timed } from './measure/statistics.ts';
import { log } from './measure/store.ts';

const warmUp = 2;
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

/** Each way in blocks, so that what one leaves to clean up falls on few of the next. `restMs` lies before each run. */
async function measure(rounds: number, inBlock: number, restMs: number): Promise<Map<string, number[]>> {
  const times = new Map([...ways.keys()].map((name) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, way] of rotated([...ways], round)) {
      for (let repeat = -warmUp; repeat < inBlock; repeat++) {
        await delay(restMs);
        const ms = await timed(way);
        if (repeat >= 0) times.get(name)?.push(ms);
      }
    }
  }
  return times;
}

const backToBack = await measure(10, 20, 0);
const afterRest = await measure(2, 20, 100);
const over = (times: Map<string, number[]>, name: string) =>
  median(times.get(name) ?? []) - median(times.get(plain) ?? []);
report(
  'sandbox',
  [...ways.keys()].map((way) => ({
    way,
    'median ms': rounded(median(backToBack.get(way) ?? [])),
    'p95 ms': rounded(quantile(backToBack.get(way) ?? [], 0.95)),
    'over a plain spawn, ms': rounded(over(backToBack, way)),
    // The kernel waits for a grace period when a process joins a control group of version 1 after a pause.
    'after 100 ms of rest, over a plain spawn': rounded(over(afterRest, way)),
  })),
  [
    atMost('sandbox, over a plain spawn', over(backToBack, walled), 10, 'ms'),
    atMost('sandbox with gate, over a plain spawn', over(backToBack, withGate), 10, 'ms'),
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
