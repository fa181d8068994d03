import pg from 'pg';
import type { Connection } from '../../server/database/connection.ts';

export interface Amounts {
  tasks: number;
  /** Ten times the tasks. */
  events: number;
}

const projects = 100;
const agents = 50;
const days = 90;

/** An identifier as the server makes them: a time in milliseconds, and a number in the place of chance. */
const idAt = (prefix: string, millis: string, number: string) => {
  const digits = Array.from({ length: 9 }, (_, index) => {
    const power = 32 ** (8 - index);
    return `substr('0123456789abcdefghjkmnpqrstvwxyz', ((${millis}) / ${power} % 32)::int + 1, 1)`;
  });
  return `'${prefix}_' || ${digits.join(' || ')} || lpad(to_hex(${number}), 8, '0')`;
};

const start = `(extract(epoch FROM now() - interval '${days} days') * 1000)::bigint`;
const millisOf = (number: string, all: number) =>
  `(${start} + (${number})::bigint * ${days * 86_400_000} / ${all})`;

/**
 * Fills an empty, migrated database with what three months of heavy use leave. Events have no true hashes; nothing
 * that is measured reads them.
 */
export async function fill(connection: Connection, { tasks, events }: Amounts): Promise<void> {
  const client = new pg.Client({ ...connection });
  await client.connect();
  const run = async (what: string, text: string) => {
    const began = performance.now();
    await client.query(text);
    console.log(`  ${what}: ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  };
  try {
    await client.query(
      `SET synchronous_commit = off; SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 2`,
    );
    const { rows } = await client.query<{ name: string; definition: string }>(
      `SELECT indexname AS name, indexdef AS definition FROM pg_indexes
       WHERE tablename IN ('events', 'tasks', 'runs', 'task_texts') AND indexname NOT IN
         (SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'))`,
    );
    for (const { name } of rows) await client.query(`DROP INDEX ${name}`);
    await fillPeople(run);
    await fillTasks(run, tasks);
    await fillEvents(run, tasks, events);
    await run(
      'who follows the log has read it',
      `UPDATE webhook_cursor SET sequence = ${events}; UPDATE notification_cursor SET sequence = ${events}`,
    );
    for (const { name, definition } of rows) await run(`index ${name}`, definition);
    await run('statistics', 'VACUUM ANALYZE');
  } finally {
    await client.end();
  }
}

type Run = (what: string, text: string) => Promise<void>;

async function fillPeople(run: Run): Promise<void> {
  await run(
    'projects and agents',
    `INSERT INTO projects (id, name, location) SELECT 'prj_' || lpad(n::text, 17, '0'), 'project-' || n, '/srv/' || n
       FROM generate_series(1, ${projects}) AS n;
     INSERT INTO principals (id, kind, name, role) SELECT 'agt_' || lpad(n::text, 17, '0'), 'agent', 'worker-' || n, 'agent'
       FROM generate_series(1, ${agents}) AS n;
     INSERT INTO agents (id, name, role, prompt, model, playbook, policy)
       SELECT 'agt_' || lpad(n::text, 17, '0'), 'worker-' || n, 'developer', '', 'recorded/bench', 'coder', '{}'
       FROM generate_series(1, ${agents}) AS n`,
  );
}

async function fillTasks(run: Run, tasks: number): Promise<void> {
  const millis = millisOf('n', tasks);
  const at = `to_timestamp(${millis} / 1000.0)`;
  const words = (salt: number) => `'word' || (n * ${salt} % 4001)`;
  await run(
    `${tasks} tasks`,
    `INSERT INTO tasks (id, project_id, title, instructions, priority, status, waiting, assignee_id, created_by, created_at, updated_at)
     SELECT ${idAt('task', millis, 'n')}, 'prj_' || lpad((n * 7919 % ${projects} + 1)::text, 17, '0'),
       'Mend ' || ${words(31)} || ' in ' || ${words(17)}, 'Look at ' || ${words(13)} || ' and make ' || ${words(29)} || ' right, with a test.',
       CASE WHEN n % 1000 = 0 THEN 'critical' WHEN n % 10 = 0 THEN 'high' WHEN n % 3 = 0 THEN 'low' ELSE 'medium' END,
       status, CASE WHEN status IN ('blocked', 'in_review') THEN '{"on":"blocker","ref":"bench","reason":"a reason","owner":"owner","deadline":"2100-01-01T00:00:00.000Z","atDeadline":"remind"}'::jsonb END,
       'agt_' || lpad((n * 104729 % ${agents} + 1)::text, 17, '0'), 'bench', ${at}, ${at} + interval '1 hour'
     FROM generate_series(1::bigint, ${tasks}) AS n, LATERAL (SELECT CASE WHEN n % 500 = 1 THEN 'blocked' WHEN n % 400 = 2 THEN 'in_review'
       WHEN n % 100 IN (3, 4) THEN 'pending' WHEN n % 20 = 5 THEN 'failed' WHEN n % 50 = 6 THEN 'cancelled' ELSE 'completed' END AS status) AS s;
     INSERT INTO task_texts (task_id, document) SELECT id, to_tsvector('english', title || ' ' || instructions) FROM tasks;
     INSERT INTO runs (id, kind, task_id, agent_id, model, status, phase, created_at, started_at, ended_at)
     SELECT 'run' || substr(id, 5), 'task', id, assignee_id, 'recorded/bench', 'succeeded', 'done', created_at, created_at, updated_at FROM tasks`,
  );
}

/** A task's events lie so many tasks apart: its steps take minutes, and the log is in the order of its times. */
const between = 39;

async function fillEvents(run: Run, tasks: number, events: number): Promise<void> {
  const each = events / tasks;
  await run(
    `${events} events`,
    `SET work_mem = '1GB';
     INSERT INTO events (sequence, id, type, entity_type, entity_id, task_id, run_id, actor, data, time, hash, project_id)
     SELECT (slot - 1) * ${each} + step, ${idAt('evt', millisOf('slot', tasks), `(slot % 100000000)::int * 10 + step - 1`)},
       CASE WHEN step = 1 AND place % 20000 = 0 THEN 'webhook.disabled' WHEN step = ${each} AND status = 'failed' THEN 'task.failed'
         ELSE (ARRAY['task.created', 'run.queued', 'run.claimed', 'step.intended', 'step.completed', 'step.intended', 'step.completed',
           'step.recorded', 'run.succeeded', 'task.completed'])[step] END,
       CASE WHEN step = 1 AND place % 20000 = 0 THEN 'webhook' WHEN step IN (1, ${each}) THEN 'task' ELSE 'run' END,
       CASE WHEN step = 1 AND place % 20000 = 0 THEN 'whk_bench' WHEN step IN (1, ${each}) THEN id ELSE 'run' || substr(id, 5) END,
       id, CASE WHEN step IN (1, ${each}) THEN NULL ELSE 'run' || substr(id, 5) END, 'worker',
       '{"seq":12,"name":"run_command","status":"done"}', to_timestamp((${millisOf('slot', tasks)} + step) / 1000.0),
       md5(id) || md5(id), project_id
     FROM generate_series(1::bigint, ${tasks}) AS slot CROSS JOIN generate_series(1, ${each}) AS step
       JOIN (SELECT id, project_id, status, row_number() OVER (ORDER BY id) AS place FROM tasks) AS numbered
         ON place = (slot - 1 - (step - 1) * ${between} + ${tasks} * ${each}) % ${tasks} + 1
     ORDER BY slot, step;
     RESET work_mem`,
  );
}
