import {
  type NotificationBody,
  type NotificationTopic,
  type NotificationView,
  notificationBody,
} from '../../../contract/notifications.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';
import type { Vault } from '../credentials/vault.ts';

/** Where notifications are kept: the file's, which win, and those that people set by the API. */
export interface NotificationSettings {
  vault: Vault;
  /** Of mission.config.json, by name. */
  fixed: Readonly<Record<string, NotificationBody>>;
}

interface Row {
  name: string;
  kind: NotificationView['kind'];
  host: string;
  topics: NotificationTopic[];
  signed: boolean;
}

const columns = sql`name, kind, host, topics, signed`;

export async function listNotifications(
  database: Queryable,
  { fixed }: NotificationSettings,
): Promise<NotificationView[]> {
  const rows = await database.many<Row>(sql`SELECT ${columns} FROM notifications ORDER BY name`);
  const stored = rows.filter(({ name }) => fixed[name] === undefined);
  const ofFile = Object.entries(fixed).map(([name, body]) => view(name, body, 'file'));
  return [...ofFile, ...stored.map((row) => ({ ...row, source: 'api' as const }))];
}

/** @throws AppError not_found */
export async function getNotification(
  database: Queryable,
  settings: NotificationSettings,
  name: string,
): Promise<NotificationView> {
  const found = (await listNotifications(database, settings)).find((one) => one.name === name);
  if (found === undefined) throw missing(name);
  return found;
}

/** With its address and secrets, to be sent to; undefined where it was removed. */
export async function openNotification(
  database: Queryable,
  { vault, fixed }: NotificationSettings,
  name: string,
): Promise<NotificationBody | undefined> {
  const known = fixed[name];
  if (known !== undefined) return known;
  const row = await database.maybe<{ sealed: Buffer; keyId: string }>(
    sql`SELECT sealed, key_id AS "keyId" FROM notifications WHERE name = ${name}`,
  );
  if (row === undefined) return undefined;
  return notificationBody.parse(JSON.parse(vault.open(sealName(name), row)));
}

/** @throws AppError forbidden, conflict for one of the file's */
export async function putNotification(
  database: Database,
  { vault, fixed }: NotificationSettings,
  actor: Actor,
  name: string,
  body: NotificationBody,
): Promise<NotificationView> {
  requireAdmin(actor);
  refuseFixed(fixed, name);
  const { sealed, keyId } = vault.seal(sealName(name), JSON.stringify(body));
  const { kind, host, topics, signed } = view(name, body, 'api');
  await database.transaction('notifications.put', async (transaction) => {
    await transaction.many(
      sql`INSERT INTO notifications (name, kind, host, topics, signed, sealed, key_id, updated_by)
          VALUES (${name}, ${kind}, ${host}, ${json(topics)}, ${signed}, ${sealed}, ${keyId}, ${actor.name})
          ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, host = excluded.host, topics = excluded.topics,
            signed = excluded.signed, sealed = excluded.sealed, key_id = excluded.key_id,
            updated_by = excluded.updated_by, updated_at = now()`,
    );
    await appendEvents(transaction, [
      {
        type: 'notification.changed',
        entityType: 'notification',
        entityId: name,
        actor: actor.name,
        data: { kind, host, topics },
      },
    ]);
  });
  return { name, kind, host, topics, signed, source: 'api' };
}

/** Seals anew what an older vault key had sealed. */
export async function resealNotifications(database: Database, vault: Vault): Promise<void> {
  const current = vault.currentKeyId();
  if (current === undefined) return;
  const rows = await database.many<{ name: string; sealed: Buffer; keyId: string }>(
    sql`SELECT name, sealed, key_id AS "keyId" FROM notifications WHERE key_id <> ${current}`,
  );
  for (const row of rows) {
    const { sealed, keyId } = vault.seal(sealName(row.name), vault.open(sealName(row.name), row));
    await database.write(
      'notifications.reseal',
      sql`UPDATE notifications SET sealed = ${sealed}, key_id = ${keyId}
          WHERE name = ${row.name} AND key_id = ${row.keyId} AND sealed = ${row.sealed}`,
    );
  }
}

/** What still waits to be delivered to it is given up. @throws AppError forbidden, not_found, conflict */
export async function removeNotification(
  database: Database,
  { fixed }: NotificationSettings,
  actor: Actor,
  name: string,
): Promise<void> {
  requireAdmin(actor);
  refuseFixed(fixed, name);
  await database.transaction('notifications.remove', async (transaction) => {
    const row = await transaction.maybe(sql`DELETE FROM notifications WHERE name = ${name} RETURNING name`);
    if (row === undefined) throw missing(name);
    await appendEvents(transaction, [
      { type: 'notification.removed', entityType: 'notification', entityId: name, actor: actor.name },
    ]);
  });
}

function view(name: string, body: NotificationBody, source: NotificationView['source']): NotificationView {
  const { kind, topics, secret } = body;
  return { name, kind, host: new URL(body.url).host, topics, signed: secret !== undefined, source };
}

const sealName = (name: string) => `notification ${name}`;

function requireAdmin(actor: Actor): void {
  if (actor.role !== 'admin') throw new AppError('forbidden', 'only admins say who is notified');
}

function refuseFixed(fixed: NotificationSettings['fixed'], name: string): void {
  if (fixed[name] === undefined) return;
  throw new AppError(
    'conflict',
    `${name} is set in mission.config.json: change it there and restart, or take another name`,
  );
}

function missing(name: string): AppError {
  return new AppError(
    'not_found',
    `there is no notification ${name}; list them with \`mission notify list\``,
  );
}
