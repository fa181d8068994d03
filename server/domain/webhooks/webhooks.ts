import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { type EventType, expandEventTypes } from '../../../contract/events.ts';
import type {
  CreatedWebhook,
  CreateWebhookBody,
  UpdateWebhookBody,
  WebhookView,
} from '../../../contract/webhooks.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { json, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import { type Actor, sees, visibleTo } from '../actor.ts';
import type { Vault } from '../credentials/vault.ts';
import type { WebhookHosts } from './addresses.ts';

export interface WebhookContext {
  database: Database;
  vault: Vault;
  hosts: WebhookHosts;
  now: () => number;
}

/** What is sealed of a webhook. */
const target = z.object({
  url: z.string(),
  secret: z.string(),
  /** The one before, and until when it signs too, in milliseconds since 1970. */
  previous: z.object({ secret: z.string(), until: z.number() }).nullable(),
});
export type WebhookTarget = z.infer<typeof target>;

const rotationMs = 24 * 3_600_000;

const columns = sql`id, host, description, types, project_id AS project, status, disabled_reason AS "disabledReason",
  failing_since AS "failingSince", rotating_until AS "rotatingUntil", version, created_by AS "createdBy",
  created_at AS "createdAt", updated_at AS "updatedAt"`;

/** @throws AppError unprocessable for a host or project that may not be named */
export async function createWebhook(
  { database, vault, hosts }: WebhookContext,
  actor: Actor,
  body: CreateWebhookBody,
): Promise<CreatedWebhook> {
  hosts.require(body.url);
  const id = newId('whk');
  const secret = newSecret();
  const { sealed, keyId } = seal(vault, id, { url: body.url, secret, previous: null });
  return database.transaction('webhooks.create', async (transaction) => {
    await requireProject(transaction, actor, body.project ?? null);
    const { host } = new URL(body.url);
    const view = await transaction.one<WebhookView>(
      sql`INSERT INTO webhooks (id, host, description, types, project_id, sealed, key_id, created_by)
          VALUES (${id}, ${host}, ${body.description}, ${json(body.types)}, ${body.project ?? null}, ${sealed},
            ${keyId}, ${actor.name}) RETURNING ${columns}`,
    );
    await tell(transaction, 'webhook.created', view, actor.name);
    return { ...view, secret };
  });
}

export function listWebhooks(
  database: Queryable,
  actor: Actor,
  page: { before?: string | undefined; limit: number },
): Promise<WebhookView[]> {
  return database.many<WebhookView>(
    sql`SELECT ${columns} FROM webhooks WHERE ${visibleTo(actor, sql`project_id`)}
          AND (${page.before ?? null}::text IS NULL OR id < ${page.before ?? null})
        ORDER BY id DESC LIMIT ${page.limit}`,
  );
}

/** @throws AppError not_found */
export async function getWebhook(database: Queryable, actor: Actor, id: string): Promise<WebhookView> {
  return (await readWebhook(database, actor, id)).view;
}

/** @throws AppError not_found, precondition_failed, unprocessable */
export async function updateWebhook(
  { database, vault, hosts }: WebhookContext,
  actor: Actor,
  id: string,
  body: UpdateWebhookBody,
  expected?: number,
): Promise<WebhookView> {
  if (body.url !== undefined) hosts.require(body.url);
  return database.transaction('webhooks.update', async (transaction) => {
    const { view, row } = await readWebhook(transaction, actor, id, sql`FOR UPDATE`);
    if (expected !== undefined && expected !== view.version) {
      throw new AppError(
        'precondition_failed',
        `${id} was changed meanwhile: get it again, and repeat the change`,
      );
    }
    if (body.project !== undefined) await requireProject(transaction, actor, body.project);
    const opened = openTarget(vault, id, row);
    const { sealed, keyId } = seal(vault, id, { ...opened, url: body.url ?? opened.url });
    const status = body.status ?? view.status;
    const reason = status === 'active' ? null : (view.disabledReason ?? `${actor.name} disabled it`);
    const changed = await transaction.one<WebhookView>(
      sql`UPDATE webhooks SET host = ${new URL(body.url ?? opened.url).host}, types = ${json(body.types ?? view.types)},
            project_id = ${body.project === undefined ? view.project : body.project},
            description = ${body.description ?? view.description}, sealed = ${sealed}, key_id = ${keyId},
            status = ${status}, disabled_reason = ${reason}, version = version + 1, updated_at = now(),
            failing_since = CASE WHEN ${status !== view.status}::boolean THEN NULL ELSE failing_since END
          WHERE id = ${id} RETURNING ${columns}`,
    );
    await tell(transaction, 'webhook.changed', changed, actor.name);
    return changed;
  });
}

/** Both secrets sign for a day. @throws AppError not_found */
export async function rotateSecret(
  { database, vault, now }: WebhookContext,
  actor: Actor,
  id: string,
): Promise<CreatedWebhook> {
  return database.transaction('webhooks.rotate', async (transaction) => {
    const { row } = await readWebhook(transaction, actor, id, sql`FOR UPDATE`);
    const opened = openTarget(vault, id, row);
    const until = now() + rotationMs;
    const secret = newSecret();
    const { sealed, keyId } = seal(vault, id, {
      ...opened,
      secret,
      previous: { secret: opened.secret, until },
    });
    const view = await transaction.one<WebhookView>(
      sql`UPDATE webhooks SET sealed = ${sealed}, key_id = ${keyId}, version = version + 1, updated_at = now(),
            rotating_until = ${new Date(until).toISOString()} WHERE id = ${id} RETURNING ${columns}`,
    );
    await tell(transaction, 'webhook.changed', view, actor.name);
    return { ...view, secret };
  });
}

/** With all of its deliveries. @throws AppError not_found */
export async function removeWebhook(database: Database, actor: Actor, id: string): Promise<void> {
  await database.transaction('webhooks.remove', async (transaction) => {
    const { view } = await readWebhook(transaction, actor, id, sql`FOR UPDATE`);
    await transaction.many(sql`DELETE FROM webhooks WHERE id = ${id}`);
    await tell(transaction, 'webhook.removed', view, actor.name);
  });
}

/** Where to send, and what to sign with now: the newest secret first. @throws AppError not_found */
export async function openWebhook(
  { database, vault, now }: Pick<WebhookContext, 'database' | 'vault' | 'now'>,
  id: string,
): Promise<{ url: string; secrets: string[] }> {
  const row = await database.maybe<Sealed>(
    sql`SELECT sealed, key_id AS "keyId" FROM webhooks WHERE id = ${id}`,
  );
  if (row === undefined) throw missing(id);
  const { url, secret, previous } = openTarget(vault, id, row);
  return { url, secrets: previous !== null && previous.until > now() ? [secret, previous.secret] : [secret] };
}

/** Seals anew what an older vault key had sealed. */
export async function resealWebhooks(database: Database, vault: Vault): Promise<void> {
  const current = vault.currentKeyId();
  if (current === undefined) return;
  const rows = await database.many<Sealed & { id: string }>(
    sql`SELECT id, sealed, key_id AS "keyId" FROM webhooks WHERE key_id <> ${current}`,
  );
  for (const row of rows) {
    const { sealed, keyId } = seal(vault, row.id, openTarget(vault, row.id, row));
    await database.write(
      'webhooks.reseal',
      sql`UPDATE webhooks SET sealed = ${sealed}, key_id = ${keyId} WHERE id = ${row.id} AND sealed = ${row.sealed}`,
    );
  }
}

/** An active webhook, as what decides which events it is sent. */
export interface Subscription {
  id: string;
  types: ReadonlySet<EventType>;
  projectId: string | null;
}

export async function readSubscriptions(database: Queryable): Promise<Subscription[]> {
  const rows = await database.many<{ id: string; types: string[]; projectId: string | null }>(
    sql`SELECT id, types, project_id AS "projectId" FROM webhooks WHERE status = 'active'`,
  );
  return rows.map((row) => ({ ...row, types: new Set(expandEventTypes(row.types)) }));
}

interface Sealed {
  sealed: Buffer;
  keyId: string;
}

async function readWebhook(
  database: Queryable,
  actor: Actor,
  id: string,
  lock: Sql = sql``,
): Promise<{ view: WebhookView; row: Sealed }> {
  const found = await database.maybe<WebhookView & Sealed>(
    sql`SELECT ${columns}, sealed, key_id AS "keyId" FROM webhooks WHERE id = ${id} ${lock}`,
  );
  if (found === undefined || !sees(actor, found.project)) throw missing(id);
  const { sealed, keyId, ...view } = found;
  return { view, row: { sealed, keyId } };
}

async function requireProject(transaction: Transaction, actor: Actor, project: string | null): Promise<void> {
  if (!sees(actor, project)) {
    throw new AppError(
      'unprocessable',
      `you do not see ${project ?? 'every project'}: name a project that you see`,
    );
  }
  if (project === null) return;
  const row = await transaction.maybe(sql`SELECT id FROM projects WHERE id = ${project}`);
  if (row === undefined) throw new AppError('unprocessable', `there is no project ${project}`);
}

async function tell(
  transaction: Transaction,
  type: 'webhook.created' | 'webhook.changed' | 'webhook.removed',
  { id, host, types, project, status }: WebhookView,
  actor: string,
): Promise<void> {
  const data = { host, types, status };
  await appendEvents(transaction, [
    { type, entityType: 'webhook', entityId: id, projectId: project, actor, data },
  ]);
}

const sealName = (id: string) => `webhook ${id}`;
const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

function seal(vault: Vault, id: string, value: WebhookTarget): Sealed {
  return vault.seal(sealName(id), JSON.stringify(value));
}

function openTarget(vault: Vault, id: string, row: Sealed): WebhookTarget {
  return target.parse(JSON.parse(vault.open(sealName(id), row)));
}

function missing(id: string): AppError {
  return new AppError('not_found', `there is no webhook ${id}; GET /api/v1/webhooks lists them`);
}
