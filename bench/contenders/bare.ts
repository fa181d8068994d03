import pg from 'pg';
import type { Connection } from '../../server/database/connection.ts';
import { timed } from '../measure/statistics.ts';
import { type Contender, payload } from './contender.ts';

/** The least that a durable step can cost: one prepared INSERT of the row, committed by itself. */
export async function openBare(
  connection: Connection,
  options: { name: string; table: string; insertsPerStep: number },
): Promise<Contender> {
  const client = new pg.Client({ ...connection });
  await client.connect();
  const { name, table, insertsPerStep } = options;
  await client.query(
    `CREATE TABLE ${table} (run_id text, seq integer, body jsonb NOT NULL, PRIMARY KEY (run_id, seq))`,
  );
  const body = JSON.stringify({ text: payload });
  let seq = 0;
  const insert = () => {
    seq += 1;
    const text = `INSERT INTO ${table} (run_id, seq, body) VALUES ($1, $2, $3)`;
    return client.query({ name: `insert_${table}`, text, values: ['run_bench', seq, body] });
  };
  const step = async () => {
    for (let count = 0; count < insertsPerStep; count++) await insert();
  };
  return {
    name,
    async run(steps) {
      const times: number[] = [];
      for (let count = 0; count < steps; count++) times.push(await timed(step));
      return times;
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}
