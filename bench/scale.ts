import { mkdtemp, open as openFile, readdir, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { connectionStringOf } from '../server/database/connection.ts';
import { atMost, type Goal, report, rounded } from './measure/report.ts';
import { startServer } from './measure/server-process.ts';
import { startStore } from './measure/store.ts';
import { fill } from './scale/fill.ts';
import { measureIdleAgents } from './scale/idle-agents.ts';
import { type Answered, askQuestions } from './scale/questions.ts';

/*
 * A million tasks and ten million events in the embedded PostgreSQL, asked over HTTP; then ten thousand idle agents.
 * About 9 GB of disk while it runs, and ten minutes. `npm run bench -- scale 100000` for a tenth.
 */
const tasks = Number(process.argv[2] ?? 1_000_000);
const amounts = { tasks, events: tasks * 10 };
/** Only the questions whose name holds it, or the idle agents alone; then nothing is kept. */
const only = process.argv[3];
const repeats = 150;
const idle = 10_000;

await using stack = new AsyncDisposableStack();
const store = stack.use(await startStore());
console.log(`filling with ${amounts.tasks} tasks and ${amounts.events} events`);
await fill(store.connection, amounts);
const home = await mkdtemp(join(tmpdir(), 'mission-bench-'));
stack.defer(() => rm(home, { recursive: true, force: true }));
const http = { requestsPerSecond: 100_000, connections: 20_000, connectionsPerPrincipal: 20_000 };
await writeFile(join(home, 'mission.config.json'), JSON.stringify({ http }));
const open = () =>
  startServer(home, { DATABASE_URL: connectionStringOf(store.connection), MISSION_LOG: 'error' });
const load = loadavg()[0] ?? 0;
const answers = await askAll();
// Of a server that has done nothing else, since memory that was needed once is not given back.
const costs = only === undefined || only === 'idle' ? await measureIdle() : [];
if (only === undefined) {
  const rows = answers.map((answer) => ({ ...answer, 'load of the machine': rounded(load) }));
  const goals = answers.map((answer) => atMost(`${answer.question}, p95`, answer['p95 ms'], 10, 'ms'));
  report('scale', rows, [...goals, ...costs]);
} else console.table(costs);

async function askAll(): Promise<Answered[]> {
  await using server = await open();
  await readThrough(dirname(store.connection.host));
  // Awaited here: the server ends with this function.
  return await askQuestions(store.connection, server, repeats, only);
}

/** Reads every file once: what is asked for is then the plans' doing, and not that of pages the system had let go. */
async function readThrough(folder: string): Promise<void> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const buffer = Buffer.alloc(4 * 1024 * 1024);
  for (const file of files.filter((entry) => entry.isFile())) {
    await using handle = await openFile(join(file.parentPath, file.name));
    while ((await handle.read(buffer)).bytesRead > 0);
  }
}

async function measureIdle(): Promise<Goal[]> {
  await using server = await open();
  const { rows, sockets } = await measureIdleAgents(store.connection, server, idle);
  return [
    atMost(`${idle} idle agents that tell of themselves: the server`, rows.server, 100, 'MiB'),
    atMost(`${idle} idle agents that tell of themselves: their tables`, rows.tables, 100, 'MiB'),
    atMost(`${idle} idle agents with an open socket each: the server`, sockets, 100, 'MiB'),
  ];
}
