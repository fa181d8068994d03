import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Connection } from '../../server/database/connection.ts';
import { readMemory } from '../measure/memory.ts';
import { Subscribers } from '../stream/subscribers.ts';

export interface IdleCost {
  /** MiB that the server grew by, and the tables, when so many agents had told of themselves once. */
  rows: { server: number; tables: number };
  /** MiB that the server grew by when as many sockets were open and silent. */
  sockets: number;
}

const restMs = 8_000;
const fewAgents = 100;
const warmUpRounds = 50;

/** What agents cost that do nothing: as rows that tell of themselves, and as open sockets. */
export async function measureIdleAgents(
  connection: Connection,
  server: { url: string; key: string; pid: number },
  count: number,
): Promise<IdleCost> {
  const client = new pg.Client({ ...connection });
  await client.connect();
  const size = async () => {
    const { rows } = await client.query<{ bytes: string }>(
      `SELECT sum(pg_total_relation_size(name::regclass)) AS bytes FROM unnest(ARRAY['principals', 'agents', 'timers', 'api_keys']) AS name`,
    );
    return Number(rows[0]?.bytes) / 1024 ** 2;
  };
  const insert = async (first: number, last: number) => {
    await client.query(
      `INSERT INTO principals (id, kind, name, role)
       SELECT 'agt_idle' || n, 'agent', 'idle-' || n, 'agent' FROM generate_series(${first}, ${last}) AS n`,
    );
    await client.query(
      `INSERT INTO agents (id, name, role, prompt, model, playbook, policy, runtime, capacity, heartbeat_seconds)
       SELECT 'agt_idle' || n, 'idle-' || n, 'worker', '', 'external', 'external', '[]', 'foreign', 1, 3600
       FROM generate_series(${first}, ${last}) AS n`,
    );
  };
  // What a server needs to answer heartbeats at all, of whomever, is no agent's cost.
  await insert(1, fewAgents);
  for (let round = 0; round < warmUpRounds; round++) await heartbeat(server, fewAgents);
  await delay(restMs);
  const before = { server: readMemory(server.pid).rss, tables: await size() };
  await insert(fewAgents + 1, count);
  await heartbeat(server, count);
  await delay(restMs);
  const rows = { server: readMemory(server.pid).rss - before.server, tables: (await size()) - before.tables };
  const beforeSockets = readMemory(server.pid).rss;
  await using subscribers = new Subscribers();
  await subscribers.open('idle', count, `${server.url}/api/v1/events/stream?types=task.*`, server.key);
  await delay(restMs);
  const sockets = readMemory(server.pid).rss - beforeSockets;
  await client.end();
  return { rows, sockets };
}

async function heartbeat(server: { url: string; key: string }, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let next = 1;
  const work = async () => {
    for (let number = next++; number <= count; number = next++)
      await beat(agent, server, `agt_idle${number}`);
  };
  await Promise.all(Array.from({ length: 8 }, work));
  agent.destroy();
}

function beat(agent: Agent, { url, key }: { url: string; key: string }, id: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { agent, method: 'POST', headers: { authorization: `Bearer ${key}` } };
    const asking = request(`${url}/api/v1/agents/${id}/heartbeat`, options, (response) => {
      response.resume();
      response.on('end', () =>
        response.statusCode === 200
          ? resolve()
          : reject(new Error(`a heartbeat was answered ${response.statusCode}`)),
      );
    });
    asking.on('error', reject);
    asking.end();
  });
}
