import { openBare } from './contenders/bare.ts';
import { openDbos } from './contenders/dbos.ts';
import { openJournal } from './contenders/journal.ts';
import { openLangGraph } from './contenders/langgraph.ts';
import { atLeast, atMost, report, rounded } from './measure/report.ts';
import { median, quantile } from './measure/statistics.ts';
import { startStore } from './measure/store.ts';
import { measureResume } from './steps/resume.ts';
import { measureWake } from './steps/wake.ts';

const rounds = 5;
const stepsOfRun = 1_000;
/** All contenders make this many steps in turn, so that what else the machine does falls on all alike. */
const turn = 50;
const warmUp = 100;

await using store = await startStore();
await using stack = new AsyncDisposableStack();
const { connection } = store;
const bare = stack.use(
  await openBare(connection, { name: 'bare INSERT', table: 'bench_one', insertsPerStep: 1 }),
);
const record = stack.use(await openJournal(store, { name: 'ours: record', twoWrites: false }));
const bareTwo = stack.use(
  await openBare(connection, { name: 'two bare INSERTs', table: 'bench_two', insertsPerStep: 2 }),
);
const intend = stack.use(await openJournal(store, { name: 'ours: intend + complete', twoWrites: true }));
const dbos = stack.use(await openDbos(connection));
const langGraph = stack.use(await openLangGraph(connection));
const contenders = [bare, record, bareTwo, intend, dbos, langGraph];

const flatness: number[] = [];
const medians = new Map(contenders.map(({ name }) => [name, [] as number[]]));
for (const contender of contenders) await contender.run(warmUp);
for (let round = 1; round <= rounds; round++) {
  console.log(`round ${round} of ${rounds}: ${stepsOfRun} steps each`);
  const times = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  await record.startRun();
  await intend.startRun();
  for (let done = 0; done < stepsOfRun; done += turn) {
    for (const contender of contenders) times.get(contender.name)?.push(...(await contender.run(turn)));
  }
  for (const [name, all] of times) medians.get(name)?.push(median(all));
  flatness.push(drift(times.get(record.name), times.get(bare.name)));
}

const of = (contender: { name: string }) => medians.get(contender.name) ?? [];
/** The median over the rounds of each round's own ratio. */
const ratio = (a: { name: string }, b: { name: string }) =>
  median(of(a).map((value, round) => value / (of(b)[round] ?? Number.NaN)));
const rows = contenders.map((contender) => ({
  contender: contender.name,
  'ms a step': rounded(median(of(contender))),
  'x bare': rounded(ratio(contender, contender === intend ? bareTwo : bare)),
  'DBOS / this': rounded(ratio(dbos, contender)),
  'LangGraph / this': rounded(ratio(langGraph, contender)),
}));
const resume = await measureResume(store);
const wake = await measureWake(store);
report('steps', rows, [
  atMost('one write a step, against a bare INSERT', ratio(record, bare), 1.3, 'x'),
  atMost('two writes a step, against two bare INSERTs', ratio(intend, bareTwo), 1.3, 'x'),
  atLeast('DBOS against one write a step', ratio(dbos, record), 2, 'x'),
  atLeast('DBOS against intend + complete', ratio(dbos, intend), 2, 'x'),
  atMost('last 100 steps of 1,000 against the first, beside bare INSERTs', median(flatness), 1.15, 'x'),
  atMost('resume of a run of 1,000 steps', resume, 500, 'ms'),
  atMost('wake, from the commit, p50', quantile(wake.fromCommit, 0.5), 10, 'ms'),
  atMost('wake, from the commit, p95', quantile(wake.fromCommit, 0.95), 10, 'ms'),
  atMost('wake, from the call that decides, p95', quantile(wake.fromCall, 0.95), 10, 'ms'),
]);

/** How much slower the last steps are than the first, with the machine's own drift taken out by the bare INSERTs. */
function drift(ours: number[] = [], theirs: number[] = []): number {
  const slope = (times: number[]) => median(times.slice(-100)) / median(times.slice(0, 100));
  return slope(ours) / slope(theirs);
}
