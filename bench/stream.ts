import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectionStringOf } from '../server/database/connection.ts';
import { appendEvents } from '../server/events/append.ts';
import { readMemory } from './measure/memory.ts';
import { atMost, report, rounded } from './measure/report.ts';
import { startServer } from './measure/server-process.ts';
import { median, quantile } from './measure/statistics.ts';
import { startStore } from './measure/store.ts';
import { Subscribers } from './stream/subscribers.ts';

/*
 * From the moment at which a writer begins its transaction to the arrival at the last of many WebSockets in other
 * processes: commit, numbering, notification, one read, and the sending to all. Beside it a bare `ws` server that
 * sends the same bytes to as many sockets and has none of it.
 */
const seconds = 10;
const rounds = 3;
const few = { subscribers: 1_000, perSecond: 20 };
const many = { subscribers: 5_000, perSecond: 4 };

const now = () => performance.timeOrigin + performance.now();

await using stack = new AsyncDisposableStack();
const store = stack.use(await startStore());
const home = await mkdtemp(join(tmpdir(), 'mission-bench-'));
stack.defer(() => rm(home, { recursive: true, force: true }));
const http = { requestsPerSecond: 100_000, connections: 20_000, connectionsPerPrincipal: 20_000 };
await writeFile(join(home, 'mission.config.json'), JSON.stringify({ http }));
const server = stack.use(
  await startServer(home, { DATABASE_URL: connectionStringOf(store.connection), MISSION_LOG: 'error' }),
);
const bare = await startBare();
stack.defer(async () => {
  bare.child.kill('SIGKILL');
  await once(bare.child, 'exit');
});
const subscribers = stack.use(new Subscribers());

/** As an event of a real run has it. */
const data = () => ({ seq: 12, name: 'run_command', status: 'done', detail: 'x'.repeat(120), at: now() });
const writeOurs = () =>
  store.database.transaction('bench.event', (transaction) =>
    appendEvents(transaction, [
      { type: 'task.updated', entityType: 'task', entityId: 'task_bench', actor: 'bench', data: data() },
    ]),
  );
let sequence = 0;
const writeBare = async () => {
  sequence += 1;
  const event = {
    specversion: '1.0',
    id: `evt_1m7vfyx0zjd8wq2r${sequence % 10}`,
    source: '/mission-control',
    type: 'task.updated',
    subject: 'task/task_bench',
    time: new Date().toISOString(),
    sequence,
    taskid: 'task_bench',
    actor: 'bench',
    data: data(),
  };
  bare.child.send(JSON.stringify({ type: 'event', event }));
};

const stream = `${server.url}/api/v1/events/stream?types=task.updated`;
await subscribers.open('ours', few.subscribers, stream, server.key);
await measure('ours', writeOurs, few, 2);
const ours = await measure('ours', writeOurs, few, seconds);
const memoryFew = readMemory(server.pid).rss;
console.log(
  `${few.subscribers} subscribers: p50 ${median(ours.ages)} ms, p95 ${quantile(ours.ages, 0.95)} ms`,
);

await subscribers.open('ours', many.subscribers - few.subscribers, stream, server.key);
await subscribers.open('bare', many.subscribers, bare.url, '');
const memoryMany = readMemory(server.pid).rss;
const oursMany: Round[] = [];
const bareMany: Round[] = [];
for (let round = 1; round <= rounds; round++) {
  bareMany.push(await measure('bare', writeBare, many, seconds));
  oursMany.push(await measure('ours', writeOurs, many, seconds));
  const [a, b] = [oursMany.at(-1), bareMany.at(-1)].map((one) => quantile(one?.ages ?? [], 0.95));
  console.log(`round ${round} of ${rounds}: p95 ours ${a} ms, bare ${b} ms`);
}
const ratios = oursMany.map(
  ({ ages }, round) => quantile(ages, 0.95) / quantile(bareMany[round]?.ages ?? [], 0.95),
);
const missed = [ours, ...oursMany].reduce((sum, one) => sum + one.missing, 0);

const row = (
  name: string,
  { subscribers: count, perSecond }: typeof few,
  ages: readonly number[],
  rss: number | null,
) => ({
  what: name,
  subscribers: count,
  'events/s': perSecond,
  'p50 ms': rounded(median(ages)),
  'p95 ms': rounded(quantile(ages, 0.95)),
  'p99 ms': rounded(quantile(ages, 0.99)),
  'server MiB': rss === null ? null : rounded(rss),
  'load of the machine': rounded(loadavg()[0] ?? 0),
});
report(
  'stream',
  [
    row('ours, from the commit on', few, ours.ages, memoryFew),
    row(
      'ours, from the commit on',
      many,
      oursMany.flatMap(({ ages }) => ages),
      memoryMany,
    ),
    row(
      'bare ws broadcast',
      many,
      bareMany.flatMap(({ ages }) => ages),
      null,
    ),
  ],
  [
    atMost(
      `${few.subscribers} subscribers, ${few.perSecond} events/s, p95`,
      quantile(ours.ages, 0.95),
      50,
      'ms',
    ),
    atMost(`${many.subscribers} subscribers, p95 against a bare ws broadcast`, median(ratios), 1.3, 'x'),
    atMost('events lost or repeated', missed, 0, 'events'),
  ],
);

interface Round {
  ages: number[];
  missing: number;
}

/** Writes at an even pace, waits until all have come, and counts what has not. */
async function measure(
  group: 'ours' | 'bare',
  write: () => Promise<unknown>,
  { perSecond, subscribers: sockets }: typeof few,
  duration: number,
): Promise<Round> {
  await subscribers.report(group);
  const total = perSecond * duration;
  const began = performance.now();
  for (let written = 0; written < total; written++) {
    await delay(Math.max(0, began + (written * 1_000) / perSecond - performance.now()));
    await write();
  }
  await delay(1_500);
  const { received, lost, closed, ages } = await subscribers.report(group);
  return { ages, missing: lost + closed + Math.abs(sockets * total - received) };
}

async function startBare(): Promise<{ child: ChildProcess; url: string }> {
  const child = fork(join(import.meta.dirname, 'stream', 'bare-server.ts'));
  const [address] = (await once(child, 'message')) as [AddressInfo];
  return { child, url: `http://127.0.0.1:${address.port}/` };
}
