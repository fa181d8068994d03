import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type {
  CreatedHook,
  CreateHookBody,
  HookScheme,
  HookTask,
  HookView,
  RotateHookBody,
  UpdateHookBody,
} from '../../../contract/hooks.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { isUniqueViolation } from '../../database/database-errors.ts';
import { empty, json, type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import { type Actor, requirePermission, sees, visibleTo } from '../actor.ts';
import type { Sealed, Vault } from '../credentials/vault.ts';
import { findProject } from '../projects/projects.ts';
import { prepareTask, type TaskContext } from '../tasks/tasks.ts';

export interface HookContext extends TaskContext {
  vault: Vault;
}

/** What is sealed of a hook. */
const secretsSchema = z.object({
  secret: z.string(),
  /** The one before, and until when it is good too, in milliseconds since 1970. */
  previous: z.object({ secret: z.string(), until: z.number() }).nullable(),
});
type Secrets = z.infer<typeof secretsSchema>;

const rotationMs = 24 * 3_600_000;

const columns = sql`id, name, project_id AS project, scheme, '/api/v1/hooks/' || id || '/deliveries' AS path, title,
  instructions, only_if AS "only", task, status, rotating_until AS "rotatingUntil", version, created_by AS "createdBy",
  created_at AS "createdAt", updated_at AS "updatedAt"`;

/** @throws AppError conflict, not_found, unprocessable where it could make no task */
export async function createHook(
  context: HookContext,
  actor: Actor,
  body: CreateHookBody,
): Promise<CreatedHook> {
  const { database, vault } = context;
  const { id: project } = await findProject(database, actor, body.project);
  await requireTask(context, actor, project, body.task);
  const id = newId('hook');
  const secret = body.secret ?? newSecret(body.scheme);
  const { sealed, keyId } = seal(vault, id, { secret, previous: null });
  try {
    return await database.transaction('hooks.create', async (transaction) => {
      const view = await transaction.one<HookView>(
        sql`INSERT INTO hooks (id, name, project_id, scheme, title, instructions, only_if, task, sealed, key_id, created_by)
            VALUES (${id}, ${body.name}, ${project}, ${body.scheme}, ${body.title}, ${body.instructions},
              ${json(body.only)}, ${json(body.task)}, ${sealed}, ${keyId}, ${actor.name}) RETURNING ${columns}`,
      );
      await tell(transaction, 'hook.created', view, actor.name);
      return { ...view, secret };
    });
  } catch (error) {
    if (!isUniqueViolation(error, 'hooks_name')) throw error;
    throw new AppError('conflict', `There is a hook ${body.name} already: take another name.`, {
      cause: error,
    });
  }
}

export function listHooks(
  database: Queryable,
  actor: Actor,
  page: { before?: string | undefined; limit: number },
): Promise<HookView[]> {
  return database.many<HookView>(
    sql`SELECT ${columns} FROM hooks WHERE ${visibleTo(actor, sql`project_id`)}
          ${page.before === undefined ? empty : sql`AND id < ${page.before}`} ORDER BY id DESC LIMIT ${page.limit}`,
  );
}

/** @throws AppError not_found */
export async function getHook(database: Queryable, actor: Actor, id: string): Promise<HookView> {
  return (await readHook(database, actor, id)).view;
}

/** @throws AppError not_found, precondition_failed, unprocessable where it could make no task */
export async function updateHook(
  context: HookContext,
  actor: Actor,
  id: string,
  body: UpdateHookBody,
  expected?: number,
): Promise<HookView> {
  const { database } = context;
  const { project } = await getHook(database, actor, id);
  requirePermission(actor, 'tasks:write');
  if (body.task !== undefined) await requireTask(context, actor, project, body.task);
  return database.transaction('hooks.update', async (transaction) => {
    const { view } = await readHook(transaction, actor, id, sql`FOR UPDATE`);
    if (expected !== undefined && expected !== view.version) {
      throw new AppError(
        'precondition_failed',
        `${id} was changed meanwhile: get it again, and repeat the change`,
      );
    }
    const next = { ...view, ...body };
    const changed = await transaction.one<HookView>(
      sql`UPDATE hooks SET title = ${next.title}, instructions = ${next.instructions}, only_if = ${json(next.only)},
            task = ${json(next.task)}, status = ${next.status}, version = version + 1, updated_at = now()
          WHERE id = ${id} RETURNING ${columns}`,
    );
    await tell(transaction, 'hook.changed', changed, actor.name, { changed: Object.keys(body) });
    return changed;
  });
}

/** Both secrets are good for a day. @throws AppError not_found, unprocessable where the present one cannot be opened */
export async function rotateHookSecret(
  { database, vault, now }: HookContext,
  actor: Actor,
  id: string,
  body: RotateHookBody,
): Promise<CreatedHook> {
  requirePermission(actor, 'tasks:write');
  return database.transaction('hooks.rotate', async (transaction) => {
    const { view, row } = await readHook(transaction, actor, id, sql`FOR UPDATE`);
    const until = now() + rotationMs;
    const previous = { secret: open(vault, id, row).secret, until };
    const secret = body.secret ?? newSecret(view.scheme);
    const { sealed, keyId } = seal(vault, id, { secret, previous });
    const changed = await transaction.one<HookView>(
      sql`UPDATE hooks SET sealed = ${sealed}, key_id = ${keyId}, version = version + 1, updated_at = now(),
            rotating_until = ${new Date(until).toISOString()} WHERE id = ${id} RETURNING ${columns}`,
    );
    await tell(transaction, 'hook.changed', changed, actor.name, { changed: ['secret'] });
    return { ...changed, secret };
  });
}

/** With all of its deliveries; its tasks stay. @throws AppError not_found */
export async function removeHook(database: Database, actor: Actor, id: string): Promise<void> {
  await database.transaction('hooks.remove', async (transaction) => {
    const { view } = await readHook(transaction, actor, id, sql`FOR UPDATE`);
    await transaction.many(sql`DELETE FROM hooks WHERE id = ${id}`);
    await tell(transaction, 'hook.removed', view, actor.name);
  });
}

/** A hook as a stranger meets it. */
export interface Door {
  isThere: boolean;
  isActive: boolean;
  scheme: HookScheme;
  /** Those that are good now; none where they cannot be opened. */
  secrets: string[];
}

/** One for each vault: the secrets of a hook that is not there. */
const decoys = new WeakMap<Vault, Sealed>();
const decoyId = 'nobody';

/** Where there is no such hook, a decoy is read and opened in its place, so that looking takes as long. */
export async function openDoor(
  { database, vault, now }: Pick<HookContext, 'database' | 'vault' | 'now'>,
  id: string,
): Promise<Door> {
  const decoy = decoys.get(vault) ?? seal(vault, decoyId, { secret: newSecret('github'), previous: null });
  decoys.set(vault, decoy);
  const row = await database.one<Sealed & Omit<Door, 'secrets'>>(
    sql`SELECT hooks.id IS NOT NULL AS "isThere", coalesce(status, 'active') = 'active' AS "isActive",
          coalesce(scheme, 'standard-webhooks') AS scheme, coalesce(sealed, ${decoy.sealed}) AS sealed,
          coalesce(key_id, ${decoy.keyId}) AS "keyId"
        FROM (SELECT) AS always LEFT JOIN hooks ON hooks.id = ${id}`,
  );
  const { sealed, keyId, ...door } = row;
  return { ...door, secrets: openSecrets(vault, door.isThere ? id : decoyId, { sealed, keyId }, now()) };
}

/** For whoever proved to be its sender; undefined where it was removed meanwhile. */
export function findHook(database: Queryable, id: string): Promise<HookView | undefined> {
  return database.maybe<HookView>(sql`SELECT ${columns} FROM hooks WHERE id = ${id}`);
}

/** Seals anew what an older vault key had sealed; what cannot be opened is left as it is. */
export async function resealHooks(database: Database, vault: Vault): Promise<void> {
  const current = vault.currentKeyId();
  if (current === undefined) return;
  for (const row of await readSealed(database)) {
    if (row.keyId === current) continue;
    const secrets = tryOpen(vault, row.id, row);
    if (secrets === null) continue;
    const { sealed, keyId } = seal(vault, row.id, secrets);
    await database.write(
      'hooks.reseal',
      sql`UPDATE hooks SET sealed = ${sealed}, key_id = ${keyId} WHERE id = ${row.id} AND sealed = ${row.sealed}`,
    );
  }
}

/** Every secret that can be opened, under the name of its hook. */
export async function readHookSecrets(
  database: Queryable,
  vault: Vault,
): Promise<{ name: string; value: string }[]> {
  return (await readSealed(database)).flatMap((row) => {
    const secrets = tryOpen(vault, row.id, row);
    if (secrets === null) return [];
    const values = [secrets.secret, ...(secrets.previous === null ? [] : [secrets.previous.secret])];
    return values.map((value) => ({ name: `the secret of the hook ${row.name}`, value }));
  });
}

function readSealed(database: Queryable): Promise<(Sealed & { id: string; name: string })[]> {
  return database.many(sql`SELECT id, name, sealed, key_id AS "keyId" FROM hooks`);
}

async function readHook(
  database: Queryable,
  actor: Actor,
  id: string,
  lock: Sql = empty,
): Promise<{ view: HookView; row: Sealed }> {
  const found = await database.maybe<HookView & Sealed>(
    sql`SELECT ${columns}, sealed, key_id AS "keyId" FROM hooks WHERE id = ${id} ${lock}`,
  );
  if (found === undefined || !sees(actor, found.project)) {
    throw new AppError('not_found', `there is no hook ${id}; GET /api/v1/hooks lists them`);
  }
  const { sealed, keyId, ...view } = found;
  return { view, row: { sealed, keyId } };
}

/** Who makes a hook gives others what they may do themself: its tasks must be ones that they could give. */
async function requireTask(
  context: HookContext,
  actor: Actor,
  project: string,
  task: HookTask,
): Promise<void> {
  await prepareTask(context, actor, { ...task, project, instructions: 'A delivery' });
}

async function tell(
  transaction: Transaction,
  type: 'hook.created' | 'hook.changed' | 'hook.removed',
  { id, name, project, scheme, status }: HookView,
  actor: string,
  more: Record<string, unknown> = {},
): Promise<void> {
  const data = { name, scheme, status, ...more };
  await appendEvents(transaction, [
    { type, entityType: 'hook', entityId: id, projectId: project, actor, data },
  ]);
}

const sealName = (id: string) => `hook ${id}`;

/** In the form that senders of the scheme take. */
function newSecret(scheme: HookScheme): string {
  const bytes = randomBytes(32);
  return scheme === 'github' ? bytes.toString('base64url') : `whsec_${bytes.toString('base64')}`;
}

function seal(vault: Vault, id: string, secrets: Secrets): Sealed {
  return vault.seal(sealName(id), JSON.stringify(secrets));
}

function open(vault: Vault, id: string, row: Sealed): Secrets {
  return secretsSchema.parse(JSON.parse(vault.open(sealName(id), row)));
}

function tryOpen(vault: Vault, id: string, row: Sealed): Secrets | null {
  try {
    return open(vault, id, row);
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

function openSecrets(vault: Vault, id: string, row: Sealed, now: number): string[] {
  const secrets = tryOpen(vault, id, row);
  if (secrets === null) return [];
  const { secret, previous } = secrets;
  return previous !== null && previous.until > now ? [secret, previous.secret] : [secret];
}
