import type { CloudEvent } from '../../../contract/events.ts';
import type { DeliveryView } from '../../../contract/notifications.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, json, sql } from '../../database/sql.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import { enqueueJobs } from '../../jobs/enqueue.ts';
import { type NotificationMessage, topicOf, writeMessage } from './messages.ts';
import { listNotifications, type NotificationSettings } from './settings.ts';

export const deliveryTask = 'notification.deliver';
/** Over some 17 hours, so that a machine which was away for a night still tells. */
const mostAttempts = 12;

export async function readCursor(database: Queryable): Promise<number> {
  const row = await database.one<{ sequence: number }>(sql`SELECT sequence FROM notification_cursor`);
  return row.sequence;
}

/**
 * Turns events into deliveries and moves the cursor, in one transaction: after a crash the same events are read
 * again or are behind the cursor with their deliveries, never neither. Any number of processes may do it.
 * @param events in the log's order, all of it from the cursor that `readCursor` gave or an earlier call left
 */
export async function enqueueDeliveries(
  database: Database,
  settings: NotificationSettings,
  events: readonly CloudEvent[],
  publicUrl: string | null,
): Promise<void> {
  const last = events.at(-1)?.sequence;
  if (last === undefined) return;
  await database.transaction('notifications.enqueue', async (transaction) => {
    const cursor = await transaction.one<{ sequence: number }>(
      sql`SELECT sequence FROM notification_cursor FOR UPDATE`,
    );
    if (cursor.sequence >= last) return;
    const targets = await listNotifications(transaction, settings);
    for (const event of events) {
      const topic = topicOf(event.type);
      if (topic === undefined || event.sequence <= cursor.sequence) continue;
      const wanting = targets.filter((target) => target.topics.includes(topic));
      if (wanting.length === 0) continue;
      const taskTitle = await readTaskTitle(transaction, event.taskid);
      const message = writeMessage(event, topic, { taskTitle, publicUrl });
      for (const { name } of wanting) await enqueueOne(transaction, name, message);
    }
    await transaction.many(sql`UPDATE notification_cursor SET sequence = ${last}`);
  });
}

async function enqueueOne(
  transaction: Transaction,
  name: string,
  message: NotificationMessage,
): Promise<void> {
  const row = await transaction.maybe<{ id: string }>(
    sql`INSERT INTO notification_deliveries (id, notification, event_id, topic, message)
        VALUES (${newId('dlv')}, ${name}, ${message.event.id}, ${message.topic}, ${json(message)})
        ON CONFLICT (notification, event_id) DO NOTHING RETURNING id`,
  );
  if (row === undefined) return;
  await enqueueJobs(transaction, [
    { task: deliveryTask, payload: { delivery: row.id }, key: row.id, maxAttempts: mostAttempts },
  ]);
}

/** Deliveries whose job is not there, as after a restore, get one again. */
export async function requeueDeliveries(database: Database): Promise<void> {
  await database.transaction('notifications.requeue', async (transaction) => {
    const rows = await transaction.many<{ id: string }>(
      sql`SELECT id FROM notification_deliveries WHERE status = 'waiting'
            AND NOT EXISTS (SELECT FROM graphile_worker.jobs WHERE key = notification_deliveries.id)
          FOR UPDATE SKIP LOCKED`,
    );
    await enqueueJobs(
      transaction,
      rows.map(({ id }) => ({
        task: deliveryTask,
        payload: { delivery: id },
        key: id,
        maxAttempts: mostAttempts,
      })),
    );
  });
}

async function readTaskTitle(transaction: Queryable, taskId: string | undefined): Promise<string | null> {
  if (taskId === undefined) return null;
  const task = await transaction.maybe<{ title: string }>(sql`SELECT title FROM tasks WHERE id = ${taskId}`);
  return task?.title ?? null;
}

export interface OpenDelivery {
  id: string;
  notification: string;
  message: NotificationMessage;
}

/** Undefined where it has come to its end already. */
export async function findOpenDelivery(database: Queryable, id: string): Promise<OpenDelivery | undefined> {
  return database.maybe<OpenDelivery>(
    sql`SELECT id, notification, message FROM notification_deliveries WHERE id = ${id} AND status = 'waiting'`,
  );
}

/** @param end.error of this attempt, without addresses; null where it was delivered */
export async function recordAttempt(
  database: Database,
  delivery: OpenDelivery,
  end: { status: DeliveryView['status']; error: string | null },
): Promise<void> {
  await database.transaction('notifications.attempt', async (transaction) => {
    const row = await transaction.maybe(
      sql`UPDATE notification_deliveries SET status = ${end.status}, attempts = attempts + 1, error = ${end.error},
            ended_at = CASE WHEN ${end.status}::text = 'waiting' THEN NULL ELSE now() END
          WHERE id = ${delivery.id} AND status = 'waiting' RETURNING id`,
    );
    if (row === undefined || end.status !== 'dead') return;
    await appendEvents(transaction, [
      {
        type: 'notification.undelivered',
        entityType: 'notification',
        entityId: delivery.notification,
        actor: 'control-plane',
        data: { delivery: delivery.id, event: delivery.message.event.id, error: end.error },
      },
    ]);
  });
}

export async function listDeliveries(
  database: Queryable,
  filter: { status?: DeliveryView['status'] | undefined; limit: number },
): Promise<DeliveryView[]> {
  return database.many<DeliveryView>(
    sql`SELECT id, notification, event_id AS "eventId", topic, message ->> 'title' AS title, status, attempts, error,
          created_at AS "createdAt", ended_at AS "endedAt"
        FROM notification_deliveries ${filter.status === undefined ? empty : sql`WHERE status = ${filter.status}`}
        ORDER BY id DESC LIMIT ${filter.limit}`,
  );
}

/** Dead letters of the last week, for everybody who looks after the machine. */
export async function countDeadLetters(database: Queryable): Promise<{ dead: number; names: string[] }> {
  return database.one<{ dead: number; names: string[] }>(
    sql`SELECT count(*)::integer AS dead, coalesce(array_agg(DISTINCT notification), '{}') AS names
        FROM notification_deliveries WHERE status = 'dead' AND ended_at > now() - interval '7 days'`,
  );
}
