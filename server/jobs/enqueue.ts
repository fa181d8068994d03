import type { Queryable } from '../database/database.ts';
import { json, sql } from '../database/sql.ts';

export interface NewJob {
  task: string;
  payload: Record<string, unknown>;
  /** A job of the same key that has not begun is replaced. */
  key?: string;
  /** Jobs of one queue run one after the other. */
  queue?: string;
  /** With backoff of e^n seconds between them: 12 are about 17 hours. */
  maxAttempts: number;
  runAt?: Date;
}

/** Adds jobs in the caller's transaction: they exist exactly when what they are about does. */
export async function enqueueJobs(transaction: Queryable, jobs: readonly NewJob[]): Promise<void> {
  for (const job of jobs) {
    await transaction.many(
      sql`SELECT id FROM graphile_worker.add_job(${job.task}::text, payload => ${json(job.payload)}::json,
            run_at => ${job.runAt?.toISOString() ?? null}::timestamptz, max_attempts => ${job.maxAttempts}::integer,
            job_key => ${job.key ?? null}::text, queue_name => ${job.queue ?? null}::text)`,
    );
  }
}
