import type { CloudEvent } from '../../../contract/events.ts';
import type { WebhookDeliveryView } from '../../../contract/webhooks.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { readEvents } from '../../events/read.ts';
import { newId } from '../../ids.ts';
import { enqueueJobs } from '../../jobs/enqueue.ts';
import { type Actor, visibleTo } from '../actor.ts';
import { delayBefore, isLongDead } from './schedule.ts';
import { getWebhook, readSubscriptions, type Subscription } from './webhooks.ts';

export const webhookTask = 'webhook.deliver';
/** Of the job, for what is our own failure; what a receiver does not take is tried again by the schedule. */
const jobAttempts = 12;

const columns = sql`webhook_deliveries.id, webhook_id AS webhook, sequence, type, webhook_deliveries.status, attempts,
  http_status AS "httpStatus", error, next_at AS "nextAt", webhook_deliveries.created_at AS "createdAt",
  ended_at AS "endedAt"`;

export async function readWebhookCursor(database: Queryable): Promise<number> {
  return (await database.one<{ sequence: number }>(sql`SELECT sequence FROM webhook_cursor`)).sequence;
}

/** A webhook is not told of itself: an event about a failure would be the next failure. */
export function isSent(event: CloudEvent, { id, types, projectId }: Subscription): boolean {
  if (!types.has(event.type) || event.subject === `webhook/${id}`) return false;
  return projectId === null || event.projectid === projectId;
}

/**
 * Turns events into deliveries and moves the cursor, in one transaction: after a crash the same events are read
 * again or are behind the cursor with their deliveries, never neither. Any number of processes may do it.
 * @param events in the log's order, all of it from the cursor that `readWebhookCursor` gave or an earlier call left
 * @returns the webhooks that are active now
 */
export async function enqueueWebhooks(
  database: Database,
  events: readonly CloudEvent[],
): Promise<Subscription[]> {
  const last = events.at(-1)?.sequence ?? 0;
  return database.transaction('webhooks.enqueue', async (transaction) => {
    const cursor = await transaction.one<{ sequence: number }>(
      sql`SELECT sequence FROM webhook_cursor FOR UPDATE`,
    );
    const subscriptions = await readSubscriptions(transaction);
    if (cursor.sequence >= last) return subscriptions;
    for (const event of events) {
      if (event.sequence <= cursor.sequence) continue;
      for (const subscription of subscriptions) {
        if (isSent(event, subscription)) await enqueueOne(transaction, subscription.id, event);
      }
    }
    await transaction.many(sql`UPDATE webhook_cursor SET sequence = ${last}`);
    return subscriptions;
  });
}

async function enqueueOne(transaction: Transaction, webhook: string, event: CloudEvent): Promise<void> {
  const row = await transaction.maybe<{ id: string }>(
    sql`INSERT INTO webhook_deliveries (id, webhook_id, sequence, type, next_at)
        VALUES (${newId('msg')}, ${webhook}, ${event.sequence}, ${event.type}, now())
        ON CONFLICT (webhook_id, sequence) DO NOTHING RETURNING id`,
  );
  if (row !== undefined) await enqueueJobs(transaction, [jobOf(row.id, webhook)]);
}

/** Those of one webhook go one after the other, so that a receiver that is slow keeps no other waiting. */
function jobOf(delivery: string, webhook: string, runAt?: Date) {
  const job = {
    task: webhookTask,
    payload: { delivery },
    key: delivery,
    queue: webhook,
    maxAttempts: jobAttempts,
  };
  return runAt === undefined ? job : { ...job, runAt };
}

/** Deliveries whose job is not there, as after a restore, get one again. */
export async function requeueWebhooks(database: Database): Promise<void> {
  await database.transaction('webhooks.requeue', async (transaction) => {
    const rows = await transaction.many<{ id: string; webhook: string }>(
      sql`SELECT id, webhook_id AS webhook FROM webhook_deliveries WHERE status = 'waiting'
            AND NOT EXISTS (SELECT FROM graphile_worker.jobs WHERE key = webhook_deliveries.id)
          FOR UPDATE SKIP LOCKED`,
    );
    await enqueueJobs(
      transaction,
      rows.map(({ id, webhook }) => jobOf(id, webhook)),
    );
  });
}

export interface OpenWebhookDelivery {
  id: string;
  webhook: string;
  isActive: boolean;
  event: CloudEvent;
  /** The `traceparent` of the request that asked for the event's run or task; null where none did. */
  traceParent: string | null;
}

/** Undefined where it has come to its end already. */
export async function findOpenWebhookDelivery(
  database: Queryable,
  id: string,
): Promise<OpenWebhookDelivery | undefined> {
  const row = await database.maybe<{ webhook: string; sequence: number; isActive: boolean }>(
    sql`SELECT webhook_id AS webhook, sequence, webhooks.status = 'active' AS "isActive"
        FROM webhook_deliveries JOIN webhooks ON webhooks.id = webhook_id
        WHERE webhook_deliveries.id = ${id} AND webhook_deliveries.status = 'waiting'`,
  );
  if (row === undefined) return undefined;
  const [event] = await readEvents(database, { after: row.sequence - 1, limit: 1 });
  if (event === undefined) throw new Error(`event ${row.sequence} of the delivery ${id} is not on the log`);
  const { webhook, isActive } = row;
  return { id, webhook, isActive, event, traceParent: await findTraceParent(database, event) };
}

async function findTraceParent(
  database: Queryable,
  { runid, taskid, subject }: CloudEvent,
): Promise<string | null> {
  const [entity, entityId] = subject.split('/');
  const run = runid ?? (entity === 'run' ? entityId : undefined) ?? null;
  const task = taskid ?? (entity === 'task' ? entityId : undefined) ?? null;
  if (run === null && task === null) return null;
  const { place } = await database.one<{ place: string | null }>(
    sql`SELECT coalesce((SELECT trace_parent FROM runs WHERE id = ${run}),
          (SELECT trace_parent FROM tasks WHERE id = ${task})) AS place`,
  );
  return place;
}

/** How one try ended. */
export type Attempt =
  | { taken: true; httpStatus: number }
  | {
      taken: false;
      httpStatus: number | null;
      /** Without addresses. */
      error: string;
      /** False where another try cannot help. */
      again: boolean;
      retryAfterMs: number | null;
      /** The receiver says that it is there no more, and is not sent anything again. */
      gone: boolean;
    };

/** Writes down what came of a try, and sets the next one. @returns the delivery's status */
export async function recordWebhookAttempt(
  { database, now, random }: { database: Database; now: () => number; random: () => number },
  delivery: Pick<OpenWebhookDelivery, 'id' | 'webhook'>,
  attempt: Attempt,
): Promise<WebhookDeliveryView['status']> {
  return database.transaction('webhooks.attempt', async (transaction) => {
    const row = await transaction.maybe<{ tries: number; failingSince: string | null }>(
      sql`SELECT tries, failing_since AS "failingSince"
          FROM webhook_deliveries JOIN webhooks ON webhooks.id = webhook_id
          WHERE webhook_deliveries.id = ${delivery.id} AND webhook_deliveries.status = 'waiting'
          FOR UPDATE OF webhook_deliveries`,
    );
    if (row === undefined) return 'delivered';
    const time = now();
    const delay =
      attempt.taken || !attempt.again ? null : delayBefore(row.tries + 1, attempt.retryAfterMs, random());
    const nextAt = delay === null ? null : new Date(time + delay);
    const status = attempt.taken ? 'delivered' : nextAt === null ? 'dead' : 'waiting';
    await transaction.many(
      sql`UPDATE webhook_deliveries SET status = ${status}, attempts = attempts + 1, tries = tries + 1,
            http_status = ${attempt.httpStatus}, error = ${attempt.taken ? null : attempt.error},
            next_at = ${nextAt?.toISOString() ?? null},
            ended_at = CASE WHEN ${status}::text = 'waiting' THEN NULL ELSE now() END
          WHERE id = ${delivery.id}`,
    );
    if (nextAt !== null) await enqueueJobs(transaction, [jobOf(delivery.id, delivery.webhook, nextAt)]);
    if (attempt.taken) {
      if (row.failingSince !== null)
        await transaction.many(sql`UPDATE webhooks SET failing_since = NULL WHERE id = ${delivery.webhook}`);
      return status;
    }
    await transaction.many(
      sql`UPDATE webhooks SET failing_since = coalesce(failing_since, ${new Date(time).toISOString()})
          WHERE id = ${delivery.webhook}`,
    );
    if (status === 'dead') await tellUndelivered(transaction, delivery, attempt.error);
    const failingSince = row.failingSince === null ? null : Date.parse(row.failingSince);
    if (attempt.gone) await disable(transaction, delivery.webhook, 'its receiver answered 410: it is gone');
    else if (isLongDead(failingSince, time))
      await disable(transaction, delivery.webhook, `it took nothing since ${row.failingSince}`);
    return status;
  });
}

async function tellUndelivered(
  transaction: Transaction,
  { id, webhook }: Pick<OpenWebhookDelivery, 'id' | 'webhook'>,
  error: string,
): Promise<void> {
  await appendEvents(transaction, [
    {
      type: 'webhook.undelivered',
      entityType: 'webhook',
      entityId: webhook,
      actor: 'control-plane',
      data: { delivery: id, error },
    },
  ]);
}

async function disable(transaction: Transaction, webhook: string, reason: string): Promise<void> {
  const row = await transaction.maybe<{ host: string; description: string; project: string | null }>(
    sql`UPDATE webhooks SET status = 'disabled', disabled_reason = ${reason}, version = version + 1, updated_at = now()
        WHERE id = ${webhook} AND status = 'active' RETURNING host, description, project_id AS project`,
  );
  if (row === undefined) return;
  const { host, description, project } = row;
  await appendEvents(transaction, [
    {
      type: 'webhook.disabled',
      entityType: 'webhook',
      entityId: webhook,
      projectId: project,
      actor: 'control-plane',
      data: { host, description, reason },
    },
  ]);
}

/** Those of one webhook, or the given-up ones of all that the actor sees, the newest first. */
export function listWebhookDeliveries(
  database: Queryable,
  actor: Actor,
  filter: {
    webhook?: string | undefined;
    status?: WebhookDeliveryView['status'] | undefined;
    before?: string | undefined;
    limit: number;
  },
): Promise<WebhookDeliveryView[]> {
  const { webhook = null, status = null, before = null } = filter;
  return database.many<WebhookDeliveryView>(
    sql`SELECT ${columns} FROM webhook_deliveries JOIN webhooks ON webhooks.id = webhook_id
        WHERE ${visibleTo(actor, sql`webhooks.project_id`)}
          AND (${webhook}::text IS NULL OR webhook_id = ${webhook})
          AND (${status}::text IS NULL OR webhook_deliveries.status = ${status})
          AND (${before}::text IS NULL OR webhook_deliveries.id < ${before})
        ORDER BY webhook_deliveries.id DESC LIMIT ${filter.limit}`,
  );
}

/** Sends it again, under the same id, from the beginning of the schedule. @throws AppError not_found, wrong_state */
export async function redeliver(
  database: Database,
  actor: Actor,
  webhook: string,
  delivery: string,
): Promise<WebhookDeliveryView> {
  return database.transaction('webhooks.redeliver', async (transaction) => {
    const hook = await getWebhook(transaction, actor, webhook);
    if (hook.status !== 'active') {
      throw new AppError(
        'wrong_state',
        `${webhook} is disabled (${hook.disabledReason}); set its status to active first`,
      );
    }
    const row = await transaction.maybe<WebhookDeliveryView>(
      sql`UPDATE webhook_deliveries SET status = 'waiting', tries = 0, next_at = now(), ended_at = NULL
          WHERE id = ${delivery} AND webhook_id = ${webhook} RETURNING ${columns}`,
    );
    if (row === undefined) throw new AppError('not_found', `there is no delivery ${delivery} of ${webhook}`);
    await enqueueJobs(transaction, [jobOf(delivery, webhook)]);
    return row;
  });
}
