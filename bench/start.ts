import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runView } from '../contract/runs.ts';
import { createdTask } from '../contract/tasks.ts';
import { readMemory } from './measure/memory.ts';
import { atMost, report, rounded } from './measure/report.ts';
import { type ServerProcess, startServer } from './measure/server-process.ts';
import { median } from './measure/statistics.ts';

const repeats = 5;
const settleMs = 3_000;
const taskLimitMs = 180_000;

const cold: number[] = [];
const warm: number[] = [];
const memory: Record<string, number[]> = { idleRss: [], idlePss: [], afterRss: [], afterPss: [] };
for (let repeat = 1; repeat <= repeats; repeat++) {
  console.log(`start ${repeat} of ${repeats}`);
  const home = await mkdtemp(join(tmpdir(), 'mission-bench-'));
  try {
    cold.push(await startOnce(home, async () => undefined));
    warm.push(
      await startOnce(home, async (server) => {
        await keepMemory(server, 'idle');
        if (repeat > 1) return;
        await performSampleTask(server);
        await keepMemory(server, 'after');
      }),
    );
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

const mebibytes = (name: string) => rounded(median(memory[name] ?? []));
report(
  'start',
  [
    {
      what: 'cold start, ms until health answers',
      median: rounded(median(cold)),
      all: cold.map(Math.round).join(' '),
    },
    {
      what: 'warm start, ms until health answers',
      median: rounded(median(warm)),
      all: warm.map(Math.round).join(' '),
    },
    { what: 'idle, sum of RSS, MiB', median: mebibytes('idleRss'), all: memory.idleRss?.join(' ') },
    { what: 'idle, sum of PSS, MiB', median: mebibytes('idlePss'), all: memory.idlePss?.join(' ') },
    {
      what: 'after the sample task, sum of RSS, MiB',
      median: mebibytes('afterRss'),
      all: memory.afterRss?.join(' '),
    },
    {
      what: 'after the sample task, sum of PSS, MiB',
      median: mebibytes('afterPss'),
      all: memory.afterPss?.join(' '),
    },
  ],
  [
    atMost('ready, cold', median(cold), 3_000, 'ms'),
    atMost('resident with the database, idle', mebibytes('idlePss'), 300, 'MiB of PSS'),
    atMost('resident with the database, after a task', mebibytes('afterPss'), 300, 'MiB of PSS'),
  ],
);

async function startOnce(home: string, use: (server: ServerProcess) => Promise<void>): Promise<number> {
  await using server = await startServer(home);
  await use(server);
  return server.readyMs;
}

/** The server with its database: every process that descends from it. RSS counts shared pages once a process. */
async function keepMemory(server: ServerProcess, when: 'idle' | 'after'): Promise<void> {
  await sleep(settleMs);
  const { rss, pss } = readMemory(server.pid);
  memory[`${when}Rss`]?.push(Math.round(rss));
  memory[`${when}Pss`]?.push(Math.round(pss));
}

async function performSampleTask(server: ServerProcess): Promise<void> {
  const { run } = createdTask.parse(await server.call('POST', '/api/v1/sample'));
  for (const end = performance.now() + taskLimitMs; performance.now() < end; await sleep(200)) {
    const { status, outcome, endedAt } = runView.parse(await server.call('GET', `/api/v1/runs/${run.id}`));
    if (endedAt === null) continue;
    if (status !== 'succeeded') throw new Error(`the sample task ${status}: ${outcome}`);
    return;
  }
  throw new Error(`the sample task has not ended within ${taskLimitMs} ms`);
}
