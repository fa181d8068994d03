import { DBOS } from '@dbos-inc/dbos-sdk';
import pg from 'pg';
import type { Connection } from '../../server/database/connection.ts';
import { timed } from '../measure/statistics.ts';
import { type Contender, payload } from './contender.ts';

/** DBOS: steps of a workflow, their results in its PostgreSQL system database. */
export async function openDbos(connection: Connection): Promise<Contender> {
  const admin = new pg.Client({ ...connection });
  await admin.connect();
  await admin.query('CREATE DATABASE bench_dbos');
  await admin.end();
  const pool = new pg.Pool({ ...connection, database: 'bench_dbos' });
  DBOS.setConfig({ name: 'bench', systemDatabasePool: pool, runAdminServer: false, logLevel: 'error' });
  const workflow = DBOS.registerWorkflow(runSteps, { name: 'steps' });
  await DBOS.launch();
  return {
    name: 'DBOS: step of a workflow',
    run: (steps) => workflow(steps),
    async [Symbol.asyncDispose]() {
      await DBOS.shutdown();
      if (!pool.ended) await pool.end();
    },
  };
}

async function runSteps(steps: number): Promise<number[]> {
  const times: number[] = [];
  for (let count = 0; count < steps; count++) {
    times.push(await timed(() => DBOS.runStep(() => Promise.resolve(payload), { name: 'step' })));
  }
  return times;
}
