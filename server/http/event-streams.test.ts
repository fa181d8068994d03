import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CloudEvent, EventsPage } from '../../contract/events.ts';
import { withCommitHook } from '../database/commit-hook.ts';
import type { Database } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../database/test-database.ts';
import { fullActor } from '../domain/actor.ts';
import { appendEvents, type NewEvent } from '../events/append.ts';
import { readHead } from '../events/read.ts';
import { Sequencer } from '../events/sequencer.ts';
import { findBrokenLink } from '../events/verify.ts';
import { openLog } from '../log.ts';
import {
  admin,
  openStuckClient,
  readSocket,
  readStream,
  type StreamServer,
  startStreamServer,
} from './event-streams-fixture.ts';

const log = openLog('silent');
const limits = { bufferedBytes: 128 * 1024, stallMs: 700 };
let home: TestDatabase;
let database: Database;
let sequencer: Sequencer;
let server: StreamServer;

beforeAll(async () => {
  home = await createTestDatabase();
  sequencer = new Sequencer({ database: home.database, log });
  database = withCommitHook(home.database, () => sequencer.poke());
  for (const project of ['one', 'two']) {
    await database.many(
      sql`INSERT INTO projects (id, name, location) VALUES (${`prj_${project}`}, ${project}, ${`/${project}`})`,
    );
    await database.many(
      sql`INSERT INTO tasks (id, project_id, title, instructions, priority, status, created_by)
          VALUES (${`task_${project}`}, ${`prj_${project}`}, 't', 'i', 'medium', 'pending', 'test')`,
    );
  }
  server = await startStreamServer(database, limits);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await sequencer[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});
beforeEach(() => {
  server.actor = admin;
});

const ofTask = (project: string, type: NewEvent['type'] = 'task.updated', data = {}): NewEvent => ({
  type,
  entityType: 'task',
  entityId: `task_${project}`,
  actor: 'test',
  data,
});

/** Appends, and waits until they have their numbers. @returns the number of the newest */
async function append(...events: NewEvent[]): Promise<number> {
  await database.transaction('test.append', (transaction) => appendEvents(transaction, events));
  while ((await database.maybe(sql`SELECT 1 AS left FROM event_outbox LIMIT 1`)) !== undefined)
    await delay(2);
  return readHead(database);
}

async function list(query: string): Promise<EventsPage & { status: number }> {
  const response = await fetch(`${server.url}/events?${query}`);
  const page: EventsPage = JSON.parse(await response.text());
  return { ...page, status: response.status };
}

/** What the three ways of reading give for one query, each cut at the log's present end. */
async function readEveryWay(query: string, after: number, head: number): Promise<string[][]> {
  const stop = new AbortController();
  const address = `${server.url}/events/stream?after=${after}&${query}`;
  const name = ({ type, subject }: CloudEvent) => `${type} ${subject}`;
  const listed = (await list(`after=${after}&${query}`)).items.map(name);
  const streamed: string[] = [];
  const socketed: string[] = [];
  // The last of all fits every query, so that no one waits for what does not come.
  for await (const event of readStream(address, stop.signal)) {
    streamed.push(name(event));
    if (event.sequence === head) break;
  }
  for await (const message of readSocket(address, stop.signal)) {
    if (message.type !== 'event') continue;
    socketed.push(name(message.event));
    if (message.event.sequence === head) break;
  }
  return [listed, streamed, socketed];
}

test('list, WebSocket and server-sent events filter alike, by type, entity, project and task', async () => {
  const before = await readHead(database);
  const last = ofTask('one', 'task.completed');
  const head = await append(
    ofTask('one'),
    ofTask('two'),
    { type: 'project.created', entityType: 'project', entityId: 'prj_two', actor: 'test' },
    { type: 'worker.started', entityType: 'worker', entityId: 'wrk_1', actor: 'test' },
    ofTask('one', 'task.failed'),
    last,
  );
  const one = ['task.updated task/task_one', 'task.failed task/task_one', 'task.completed task/task_one'];
  for (const [query, wanted] of [
    ['types=task.failed,task.completed', one.slice(1)],
    ['types=task.*', [one[0], 'task.updated task/task_two', ...one.slice(1)]],
    ['subject=task/task_one', one],
    ['project=prj_one', one],
    ['project=prj_one&types=task.updated,task.completed', [one[0], one[2]]],
    ['task=task_one', one],
  ] as const) {
    for (const seen of await readEveryWay(query, before, head)) expect(seen, query).toEqual(wanted);
  }
  const ofTwo = await list(`after=${before}&project=prj_two`);
  expect(ofTwo.items.map(({ type, projectid }) => `${type} ${projectid}`)).toEqual([
    'task.updated prj_two',
    'project.created prj_two',
  ]);
  expect((await list('types=task.nonsense')).status).toBe(400);
  expect((await list('subject=nonsense')).status).toBe(400);
});

test('who sees one project is shown its events alone, whatever is asked for; who may read less is shown less', async () => {
  const before = await readHead(database);
  const head = await append(
    ofTask('two'),
    { type: 'worker.started', entityType: 'worker', entityId: 'wrk_1', actor: 'test' },
    { type: 'ask.opened', entityType: 'ask', entityId: 'ask_1', taskId: 'task_one', actor: 'test' },
    ofTask('one'),
  );
  server.actor = { ...fullActor({ id: 'prn_o', name: 'olga', role: 'operator' }), projects: ['prj_one'] };
  const mine = ['ask.opened ask/ask_1', 'task.updated task/task_one'];
  for (const seen of await readEveryWay('', before, head)) expect(seen).toEqual(mine);
  expect((await list(`after=${before}&project=prj_two`)).items).toEqual([]);
  expect((await list(`after=${before}&task=task_two`)).items).toEqual([]);
  server.actor = { ...fullActor({ id: 'agt_x', name: 'x', role: 'agent' }), projects: ['prj_one'] };
  for (const seen of await readEveryWay('', before, head)) expect(seen).toEqual(mine.slice(1));
  server.actor = { ...server.actor, projects: [] };
  expect((await list(`after=${before}`)).items).toEqual([]);
});

test('pages and times cut the log where they say', async () => {
  const before = await readHead(database);
  const head = await append(...Array.from({ length: 7 }, () => ofTask('one')));
  const first = await list(`after=${before}&limit=5&types=task.updated`);
  expect(first).toMatchObject({ nextCursor: String(before + 5), head });
  const second = await list(`cursor=${first.nextCursor}&limit=5`);
  expect(second).toMatchObject({ nextCursor: null });
  expect([...first.items, ...second.items].map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: 7 }, (_, index) => before + 1 + index),
  );
  const { time = '' } = first.items[3] ?? {};
  const all = (await list('limit=1000')).items;
  for (const query of ['', '&types=task.*', '&project=prj_one', '&task=task_one']) {
    const fits = (event: CloudEvent) =>
      query === '' || event.taskid === 'task_one' || query.includes('types');
    const since = await list(`since=${time}${query}&limit=1000`);
    expect(since.items.filter(fits)).toEqual(
      all.filter(
        (event) => event.time >= time && event.type.startsWith(query === '' ? '' : 'task.') && fits(event),
      ),
    );
    const until = await list(`until=${time}${query}&limit=1000`);
    expect(until.items.every((event) => event.time < time)).toBe(true);
    expect(until.items.length + since.items.length).toBeLessThanOrEqual(all.length);
  }
  expect((await list('since=2031-01-01T00:00:00Z')).items).toEqual([]);
});

test('the chain covers the project of an event, and holds over events from before there were any', async () => {
  const head = await append(ofTask('one'));
  expect(await findBrokenLink(database)).toBeNull();
  class Undo extends Error {}
  const attempt = database.transaction('test.tamper', async (transaction) => {
    await transaction.many(sql`ALTER TABLE events DISABLE TRIGGER events_append_only`);
    for (const project of [null, 'prj_two']) {
      await transaction.many(sql`UPDATE events SET project_id = ${project} WHERE sequence = ${head}`);
      expect(await findBrokenLink(transaction)).toBe(head);
    }
    throw new Undo();
  });
  await expect(attempt).rejects.toThrow(Undo);
});

test('a reader that comes back a hundred times under load sees every event once', {
  timeout: 60_000,
}, async () => {
  const before = await readHead(database);
  const total = 1_500;
  const writing = (async () => {
    for (let written = 0; written < total; written += 5) {
      const events = Array.from({ length: 5 }, (_, index) =>
        ofTask('one', 'task.updated', { n: written + index }),
      );
      await database.transaction('test.load', (transaction) => appendEvents(transaction, events));
    }
  })();
  const seen: number[] = [];
  let connections = 0;
  while (seen.length < total) {
    connections += 1;
    const after = seen.at(-1) ?? before;
    const address = `${server.url}/events/stream`;
    const stop = new AbortController();
    // Each connection breaks after a few events, at another place in a batch each time.
    const most = seen.length + 1 + (connections % 29);
    if (connections % 2 === 0) {
      const headers = { 'last-event-id': String(after) };
      for await (const { sequence } of readStream(`${address}?types=task.updated`, stop.signal, headers)) {
        seen.push(sequence);
        if (seen.length >= Math.min(most, total)) break;
      }
    } else {
      for await (const message of readSocket(`${address}?after=${after}`, stop.signal)) {
        if (message.type !== 'event') continue;
        seen.push(message.event.sequence);
        if (seen.length >= Math.min(most, total)) break;
      }
    }
  }
  await writing;
  expect(connections).toBeGreaterThanOrEqual(100);
  expect(seen).toEqual(Array.from({ length: total }, (_, index) => before + 1 + index));
});

test('a reader goes on at another server where the first one stopped, without a gap', async () => {
  const first = await startStreamServer(database);
  const before = await readHead(database);
  const stop = new AbortController();
  const messages = readSocket(`${first.url}/events/stream?after=${before}`, stop.signal);
  expect((await messages.next()).value).toMatchObject({ type: 'hello', head: before });
  await append(ofTask('one'), ofTask('two'));
  expect((await messages.next()).value).toMatchObject({ event: { sequence: before + 1 } });
  expect((await messages.next()).value).toMatchObject({ event: { sequence: before + 2 } });
  await first[Symbol.asyncDispose]();
  expect(await messages.next()).toMatchObject({ done: true, value: { code: 1001 } });
  await append(ofTask('one'));
  await using second = await startStreamServer(database);
  for await (const message of readSocket(`${second.url}/events/stream?after=${before + 2}`, stop.signal)) {
    if (message.type !== 'event') continue;
    expect(message.event.sequence).toBe(before + 3);
    break;
  }
});

test.for([
  [
    'WebSocket',
    [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${btoa('0123456789abcdef')}`,
    ],
  ],
  ['server-sent events', ['Accept: text/event-stream', 'Connection: close']],
] as const)(
  'a reader over %s that takes nothing is cut with a reason, at bounded memory, and can resume',
  { timeout: 60_000 },
  async ([kind, head]) => {
    const before = await readHead(database);
    using stuck = await openStuckClient(`${server.url}/events/stream?after=${before}`, head);
    const stop = new AbortController();
    const quick = readSocket(`${server.url}/events/stream?after=${before}`, stop.signal);
    const bulk = 'x'.repeat(20_000);
    const total = 900;
    for (let written = 0; written < total; written += 50) {
      const events = Array.from({ length: 50 }, () => ofTask('one', 'task.updated', { bulk }));
      await database.transaction('test.load', (transaction) => appendEvents(transaction, events));
    }
    let seen = 0;
    for await (const message of quick) {
      if (message.type === 'event') seen += 1;
      if (seen === total) break;
    }
    await delay(limits.stallMs + 300);
    const all = await stuck.readAll();
    // 18 MB were written: what it was ever sent lay in the system's buffers and, a little of it, in ours.
    expect(all.length).toBeLessThan(12 * 1024 ** 2);
    const text = all.toString('latin1');
    const told = [...text.matchAll(/"sequence":(\d+)/g)].map((match) => Number(match[1]));
    expect(told.length).toBeGreaterThan(0);
    expect(told.length).toBeLessThan(total);
    expect(told).toEqual(told.map((_, index) => before + 1 + index));
    if (kind === 'WebSocket') expect(all.subarray(-200).includes(Buffer.from([0x03, 0xf5]))).toBe(true);
    expect(text.slice(-300)).toContain('resume from the last sequence');
    const rest: number[] = [];
    const last = told.at(-1) ?? 0;
    // With the usual patience: on a busy machine this reader may be slow as well.
    await using patient = await startStreamServer(database);
    for await (const { sequence } of readStream(`${patient.url}/events/stream?after=${last}`, stop.signal)) {
      rest.push(sequence);
      if (sequence === before + total) break;
    }
    expect(rest).toHaveLength(total - told.length);
  },
);

/** The one that was cut before may just be coming back. */
async function cutListeners(): Promise<void> {
  for (let cut = 0; cut === 0; ) {
    const rows = await database.many(
      sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'`,
    );
    cut = rows.length;
  }
}

test('an event is a second late at the most where the connection that listens was cut', async () => {
  const before = await readHead(database);
  const stop = new AbortController();
  const messages = readSocket(`${server.url}/events/stream?after=${before}`, stop.signal);
  await messages.next();
  for (let round = 0; round < 3; round++) {
    await cutListeners();
    const began = performance.now();
    await database.transaction('test.append', (transaction) => appendEvents(transaction, [ofTask('one')]));
    expect((await messages.next()).value).toMatchObject({ event: { sequence: before + 1 + round } });
    expect(performance.now() - began).toBeLessThan(1_000);
  }
  await messages.return({ code: 0, reason: '' });
});

test('live text reaches those who follow its run, and nobody who does not see its project', async () => {
  await database.many(
    sql`INSERT INTO principals (id, kind, name, role) VALUES ('agt_l', 'agent', 'live', 'agent')`,
  );
  await database.many(
    sql`INSERT INTO agents (id, name, role, prompt, model, playbook, policy)
        VALUES ('agt_l', 'live', 'developer', '', 'm', 'coder', '{}')`,
  );
  await database.many(
    sql`INSERT INTO runs (id, kind, task_id, agent_id, model, status, ended_at)
        VALUES ('run_one', 'task', 'task_one', 'agt_l', 'm', 'succeeded', now())`,
  );
  const stop = new AbortController();
  const follow = (projects: string[] | null, query = '') => {
    server.actor = { ...admin, projects };
    return readSocket(`${server.url}/events/stream?${query}`, stop.signal);
  };
  const whole = follow(null);
  await whole.next();
  const other = follow(['prj_two']);
  await other.next();
  const mine = follow(['prj_one']);
  await mine.next();
  const write = async (seq: number) => {
    server.live.write({ runId: 'run_one', seq, text: 'word' });
    await server.live.flush();
  };
  await write(1);
  expect((await whole.next()).value).toMatchObject({ type: 'live', live: { seq: 1 } });
  // The first chunk may be lost to one who sees a part of the projects, while the run is looked up.
  const got = mine.next();
  const others = other.next();
  let done = false;
  const settled = got.finally(() => {
    done = true;
  });
  for (let seq = 2; !done; seq++) {
    await write(seq);
    await delay(10);
  }
  expect((await settled).value).toMatchObject({ type: 'live', live: { runId: 'run_one' } });
  await append(ofTask('two'));
  expect((await others).value).toMatchObject({ type: 'event', event: { taskid: 'task_two' } });
  stop.abort();
});
