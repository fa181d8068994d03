import type {
  CreatePrincipalBody,
  PrincipalView,
  UpdatePrincipalBody,
} from '../../../contract/principals.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import type { Actor } from '../actor.ts';
import { exceeding, requireFittingRole, requireNoMore, resolveProjects, rightsOf } from './rights.ts';
import { endSessions } from './sessions.ts';

const columns = sql`principals.id, principals.kind, principals.name, principals.role,
  CASE WHEN principals.all_projects THEN NULL ELSE ARRAY(
    SELECT project_id FROM principal_projects WHERE principal_id = principals.id ORDER BY project_id
  ) END AS projects,
  principals.disabled_at IS NOT NULL AS disabled, principals.password IS NOT NULL AS "hasPassword",
  principals.created_at AS "createdAt", principals.updated_at AS "updatedAt"`;

/** Those whose projects the actor sees all of; a principal of other projects is as if it were not there. */
export async function listPrincipals(database: Queryable, actor: Actor): Promise<PrincipalView[]> {
  const all = await database.many<PrincipalView>(sql`SELECT ${columns} FROM principals ORDER BY name`);
  return all.filter((principal) => isVisible(actor, principal));
}

/** By id or name; oneself always. @throws AppError not_found */
export async function getPrincipal(
  database: Queryable,
  actor: Actor,
  idOrName: string,
  options: { lock?: boolean } = {},
): Promise<PrincipalView> {
  const found = await database.maybe<PrincipalView>(
    sql`SELECT ${columns} FROM principals WHERE id = ${idOrName} OR name = ${idOrName}
        ORDER BY id = ${idOrName} DESC LIMIT 1 ${options.lock === true ? sql`FOR UPDATE` : empty}`,
  );
  if (found !== undefined && isVisible(actor, found)) return found;
  throw new AppError('not_found', `there is no principal ${idOrName}; list them with GET /principals`);
}

/** @throws AppError forbidden, unprocessable, conflict where the name is taken */
export async function createPrincipal(
  database: Database,
  actor: Actor,
  body: CreatePrincipalBody,
): Promise<PrincipalView> {
  return database.transaction('principals.create', (transaction) =>
    insertPrincipal(transaction, actor, body),
  );
}

/** The same inside a transaction of the caller. */
export async function insertPrincipal(
  transaction: Transaction,
  actor: Actor,
  body: CreatePrincipalBody,
): Promise<PrincipalView> {
  requireFittingRole(body.kind, body.role);
  const projects = await resolveProjects(transaction, actor, body.projects);
  requireNoMore(actor, rightsOf(body.role, projects));
  const id = newId('prn');
  const made = await transaction.maybe(
    sql`INSERT INTO principals (id, kind, name, role, all_projects)
        VALUES (${id}, ${body.kind}, ${body.name}, ${body.role}, ${projects === null})
        ON CONFLICT (name) DO NOTHING RETURNING id`,
  );
  if (made === undefined) {
    throw new AppError('conflict', `the name ${body.name} is taken by another principal; choose another`);
  }
  await putProjects(transaction, id, projects);
  await appendEvents(transaction, [
    {
      type: 'principal.created',
      entityType: 'principal',
      entityId: id,
      actor: actor.name,
      data: { kind: body.kind, name: body.name, role: body.role, projects },
    },
  ]);
  return getPrincipal(transaction, actor, id);
}

/**
 * Changes role, projects or whether it is enabled; live connections of it end, so that they come back with what
 * it has now. @throws AppError not_found, forbidden, unprocessable, wrong_state where nobody would be left to manage
 */
export async function updatePrincipal(
  database: Database,
  actor: Actor,
  idOrName: string,
  body: UpdatePrincipalBody,
): Promise<PrincipalView> {
  return database.transaction('principals.update', async (transaction) => {
    // Two admins that demote each other at once must not both succeed.
    await transaction.many(sql`SELECT id FROM principals WHERE role = 'admin' ORDER BY id FOR UPDATE`);
    const before = await getPrincipal(transaction, actor, idOrName, { lock: true });
    const role = body.role ?? before.role;
    const projects =
      body.projects === undefined
        ? before.projects
        : await resolveProjects(transaction, actor, body.projects);
    const disabled = body.disabled ?? before.disabled;
    requireFittingRole(before.kind, role);
    requireNoMore(actor, rightsOf(before.role, before.projects));
    requireNoMore(actor, rightsOf(role, projects));
    await transaction.many(
      sql`UPDATE principals SET role = ${role}, all_projects = ${projects === null}, updated_at = now(),
            disabled_at = CASE WHEN ${disabled}::boolean THEN coalesce(disabled_at, now()) END
          WHERE id = ${before.id}`,
    );
    if (body.projects !== undefined) await putProjects(transaction, before.id, projects);
    await requireAnAdmin(transaction);
    if (disabled) await endSessions(transaction, { principalId: before.id, except: null, actor: actor.name });
    await appendEvents(transaction, [
      {
        type: 'principal.updated',
        entityType: 'principal',
        entityId: before.id,
        actor: actor.name,
        data: { name: before.name, ...body },
      },
    ]);
    return getPrincipal(transaction, { ...actor, projects: null }, before.id);
  });
}

async function putProjects(
  transaction: Transaction,
  id: string,
  projects: readonly string[] | null,
): Promise<void> {
  await transaction.many(sql`DELETE FROM principal_projects WHERE principal_id = ${id}`);
  await transaction.many(
    sql`INSERT INTO principal_projects (principal_id, project_id)
        SELECT ${id}, project FROM unnest(${projects ?? []}::text[]) AS project ON CONFLICT DO NOTHING`,
  );
}

async function requireAnAdmin(transaction: Transaction): Promise<void> {
  const admin = await transaction.maybe(
    sql`SELECT id FROM principals WHERE role = 'admin' AND all_projects AND disabled_at IS NULL LIMIT 1`,
  );
  if (admin !== undefined) return;
  throw new AppError(
    'wrong_state',
    'Nobody would be left who may manage everything. Make another principal an admin of all projects first.',
  );
}

function isVisible(actor: Actor, principal: PrincipalView): boolean {
  const beyond = exceeding(actor, { permissions: [], projects: principal.projects });
  return principal.id === actor.id || beyond.length === 0;
}
