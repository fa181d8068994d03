import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Connection } from '../../server/database/connection.ts';
import { quantile } from '../measure/statistics.ts';

export interface Answered {
  question: string;
  'p50 ms': number;
  'p95 ms': number;
  'most ms': number;
  /** Pages of the database that one answer touches: what is left when the machine's other work is taken away. */
  pages: number;
  bytes: number;
}

interface Sample {
  id: string;
  project: string;
  at: string;
}

/** A process that was just started compiles what it runs often, and each connection prepares what it asks. */
const warmUp = 40;
/** Of one question, so that a slow one ends too. */
const mostMs = 6_000;

/** The addresses that are asked, each with values of its own at every repetition. */
function questionsAbout(samples: readonly Sample[], head: number): [string, () => string][] {
  const draw = <T>(list: readonly T[]): T => {
    const found = list[Math.floor(Math.random() * list.length)];
    if (found === undefined) throw new Error('there are no samples');
    return found;
  };
  const later = (at: string, hours: number) => new Date(Date.parse(at) + hours * 3_600_000).toISOString();
  const place = () => Math.floor(Math.random() * head);
  const sample = () => draw(samples);
  const cursor = () => Buffer.from(sample().id).toString('base64url');
  const word = () => `word${Math.floor(Math.random() * 4_001)}`;
  const agent = () => `worker-${1 + Math.floor(Math.random() * 50)}`;
  const tasks: [string, () => string][] = [
    ['newest', () => ''],
    ['from a place in the middle', () => `cursor=${cursor()}`],
    ['pending', () => 'status=pending'],
    ['blocked, from the middle', () => `status=blocked&cursor=${cursor()}`],
    ['critical', () => 'priority=critical'],
    ['of an assignee', () => `assignee=${agent()}`],
    ['of a project', () => `project=${sample().project}`],
    ['blocked, of a project', () => `project=${sample().project}&status=blocked`],
    ['with a word', () => `text=${word()}`],
    [
      'created in an hour',
      () => {
        const { at } = sample();
        return `createdAfter=${later(at, -1)}&createdBefore=${at}`;
      },
    ],
    ['created before', () => `createdBefore=${sample().at}`],
    ['updated lately', () => `updatedAfter=${later(new Date().toISOString(), -2)}`],
  ];
  const events: [string, () => string][] = [
    ['from a place', () => `after=${place()}`],
    ['of a family of types', () => `after=${place()}&types=task.*`],
    ['of a rare type', () => 'types=webhook.disabled'],
    ['of a type, from a place', () => `after=${place()}&types=task.failed`],
    ['of a project', () => `after=${place()}&project=${sample().project}`],
    [
      'of a project and a type',
      () => `after=${place()}&project=${sample().project}&types=task.failed,task.created`,
    ],
    ['of a task', () => `task=${sample().id}`],
    ['of a run', () => `run=run${sample().id.slice(4)}`],
    ['of an entity', () => `subject=task/${sample().id}`],
    ['since a time', () => `since=${sample().at}`],
    ['of a project, since a time', () => `since=${sample().at}&project=${sample().project}&types=task.*`],
  ];
  return [
    // What any request costs on this machine now.
    ['nothing (health)', () => '/health'],
    ['get a task', () => `/tasks/${sample().id}`],
    ['get a run', () => `/runs/run${sample().id.slice(4)}`],
    ['runs of a task', () => `/runs?task=${sample().id}`],
    ['list projects', () => '/projects?limit=50'],
    ...tasks.map(([name, query]): [string, () => string] => [
      `tasks: ${name}`,
      () => `/tasks?limit=50&${query()}`,
    ]),
    ...events.map(([name, query]): [string, () => string] => [
      `events: ${name}`,
      () => `/events?limit=100&${query()}`,
    ]),
  ];
}

/** Asks each question many times, one at a time, over a connection that is kept. */
export async function askQuestions(
  connection: Connection,
  server: { url: string; key: string },
  repeats: number,
  only = '',
): Promise<Answered[]> {
  const client = new pg.Client({ ...connection });
  await client.connect();
  const { rows: samples } = await client.query<Sample>(
    `SELECT id, project_id AS project, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at
     FROM tasks TABLESAMPLE SYSTEM (1) LIMIT 5000`,
  );
  const { rows } = await client.query<{ head: string }>('SELECT max(sequence) AS head FROM events');
  const idlePages = await countIdlePages(client);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const answers: Answered[] = [];
  for (const [question, address] of questionsAbout(samples, Number(rows[0]?.head))) {
    if (!question.includes(only)) continue;
    const touched = await countPages(client);
    const began = performance.now();
    const times: number[] = [];
    let bytes = 0;
    for (let repeat = -warmUp; repeat < repeats && performance.now() - began < mostMs; repeat++) {
      const asked = performance.now();
      const size = await ask(agent, `${server.url}/api/v1${address()}`, server.key);
      if (repeat < 0) continue;
      times.push(performance.now() - asked);
      bytes = Math.max(bytes, size);
    }
    const answer = {
      question,
      'p50 ms': Number(quantile(times, 0.5).toFixed(2)),
      'p95 ms': Number(quantile(times, 0.95).toFixed(2)),
      'most ms': Number(Math.max(...times).toFixed(1)),
      pages: Math.max(
        0,
        Math.round(
          ((await countPages(client)) - touched - idlePages * (performance.now() - began)) /
            (times.length + warmUp),
        ),
      ),
      bytes,
    };
    console.log(`  ${question}: p50 ${answer['p50 ms']}, p95 ${answer['p95 ms']} ms, ${answer.pages} pages`);
    answers.push(answer);
  }
  agent.destroy();
  await client.end();
  return answers;
}

/** Pages a millisecond that the server looks at by itself. */
async function countIdlePages(client: pg.Client): Promise<number> {
  const before = await countPages(client);
  const began = performance.now();
  await delay(4_000);
  return ((await countPages(client)) - before) / (performance.now() - began);
}

/** Every page of a table or index that the server's connections have looked at so far. */
async function countPages(client: pg.Client): Promise<number> {
  // A connection tells of its work a second after it.
  await delay(1_200);
  const { rows } = await client.query<{ pages: string }>(
    `SELECT blks_hit + blks_read AS pages FROM pg_stat_database WHERE datname = current_database()`,
  );
  return Number(rows[0]?.pages);
}

function ask(agent: Agent, url: string, key: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request(
      url,
      { agent, headers: { authorization: `Bearer ${key}` }, timeout: 60_000 },
      (response) => {
        let size = 0;
        let text = '';
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (response.statusCode !== 200) text += chunk.toString();
        });
        response.on('end', () => {
          if (response.statusCode === 200) resolve(size);
          else reject(new Error(`${url}: ${response.statusCode} ${text}`));
        });
      },
    );
    asking.on('error', reject);
    asking.on('timeout', () => asking.destroy(new Error(`${url}: no answer within a minute`)));
    asking.end();
  });
}
