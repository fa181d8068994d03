import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { takeOver } from '../server/computers/gate.ts';
import { openLocalSandbox } from '../server/computers/local-sandbox.ts';
import type { Command, Sandbox } from '../server/computers/sandbox.ts';
import { openContainers } from './contenders/container.ts';
import { openSandboxRuntime } from './contenders/sandbox-runtime.ts';
import { atMost, report, rounded } from './measure/report.ts';
import { median, quantile, timed } from './measure/statistics.ts';
import { log } from './measure/store.ts';

const warmUp = 2;
const together = 50;
const program = '/bin/true';

interface Way {
  name: string;
  run: () => Promise<void>;
  /** Runs one after another in all, and rounds of fifty at once. */
  repeats: number;
  rounds: number;
}

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
const inSandbox = async (each: Command, where: Sandbox = sandbox) => {
  const result = await where.run(each, AbortSignal.timeout(120_000));
  if (result.exitCode !== 0) throw new Error(`the command failed: ${result.stderr}`);
};

const plain = 'plain spawn';
const walled = 'ours: local';
const withGate = 'ours: local, with the gate of a lease';
const inContainer = 'ours: container, with the gate of a lease';
const quick = { repeats: 200, rounds: 3 };
const ways: Way[] = [
  { name: plain, run: () => spawned(program, []), ...quick },
  { name: walled, run: () => inSandbox(command), ...quick },
  { name: withGate, run: () => inSandbox(gated), ...quick },
];
const peer = await openSandboxRuntime(workspace);
if (typeof peer === 'string') console.log(`not measured beside us: ${peer}`);
else {
  stack.use(peer);
  const run = async () => spawned('/bin/bash', ['-c', await peer.wrap(program)]);
  ways.push({ name: 'sandbox-runtime, as a library', run, ...quick });
}
const containers = await openContainers(folder);
if (typeof containers === 'string') console.log(`not measured beside us: ${containers}`);
else {
  stack.use(containers);
  ways.push({ name: inContainer, run: () => inSandbox(gated, containers), repeats: 20, rounds: 1 });
}

const backToBack = await measure(10, 0);
const afterRest = await measure(2, 100, 40);
const atOnce = await measureTogether();
const middle = (times: Map<string, number[]>, name: string) => median(times.get(name) ?? []);
const over = (times: Map<string, number[]>, name: string) => middle(times, name) - middle(times, plain);
report(
  'sandbox',
  ways.map(({ name }) => ({
    way: name,
    'median ms': rounded(middle(backToBack, name)),
    'p95 ms': rounded(quantile(backToBack.get(name) ?? [], 0.95)),
    'over a plain spawn, ms': rounded(over(backToBack, name)),
    // The kernel waits for a grace period when a process joins a control group of version 1 after a pause.
    'after 100 ms of rest, over a plain spawn': rounded(over(afterRest, name)),
    '50 at once, ms for all': rounded(middle(atOnce, name)),
  })),
  [
    atMost('local, over a plain spawn', over(backToBack, walled), 10, 'ms'),
    atMost('local with gate, over a plain spawn', over(backToBack, withGate), 10, 'ms'),
  ],
);

/** Each way in blocks, so that what one leaves to clean up falls on few of the next. `restMs` lies before each run. */
async function measure(blocks: number, restMs: number, most = 1_000): Promise<Map<string, number[]>> {
  const times = new Map(ways.map(({ name }) => [name, [] as number[]]));
  for (let block = 0; block < blocks; block++) {
    for (const { name, run, repeats } of rotated(ways, block)) {
      const inBlock = Math.ceil(Math.min(repeats, most) / blocks);
      for (let repeat = -Math.min(warmUp, inBlock); repeat < inBlock; repeat++) {
        await delay(restMs);
        const ms = await timed(run);
        if (repeat >= 0) times.get(name)?.push(ms);
      }
    }
  }
  return times;
}

/** From the start of the first of fifty to the end of the last. */
async function measureTogether(): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>();
  for (const { name, run, rounds } of ways) {
    const taken: number[] = [];
    for (let round = 0; round < rounds; round++) {
      taken.push(
        await timed(async () => {
          await Promise.all(Array.from({ length: together }, run));
        }),
      );
    }
    times.set(name, taken);
  }
  return times;
}

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
