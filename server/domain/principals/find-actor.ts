import { permissionsOf } from '../../../contract/permissions.ts';
import { type Sql, sql } from '../../database/sql.ts';
import type { Actor } from '../actor.ts';

/** A principal with what narrows it, as SQL reads it. */
export type ActorRow = Pick<Actor, 'id' | 'name' | 'role' | 'projects'> & {
  /** The key's own limits; null where there are none. */
  keyScopes?: string[] | null;
  keyProjects?: string[] | null;
};

export const actorColumns: Sql = sql`principals.id, principals.name, principals.role,
  CASE WHEN principals.all_projects THEN NULL ELSE ARRAY(
    SELECT project_id FROM principal_projects WHERE principal_id = principals.id ORDER BY project_id
  ) END AS projects`;

export const keyColumns: Sql = sql`api_keys.id AS "keyId", api_keys.scopes AS "keyScopes",
  api_keys.projects AS "keyProjects"`;

export const keyLives: Sql = sql`api_keys.revoked_at IS NULL AND principals.disabled_at IS NULL
  AND (api_keys.expires_at IS NULL OR api_keys.expires_at > now())`;

const idleMinutes = 30;
export const sessionLives: Sql = sql`sessions.expires_at > now() AND principals.disabled_at IS NULL
  AND sessions.seen_at > now() - make_interval(mins => ${idleMinutes})`;

/** When something was last used is kept to the minute, so that reading costs no write. */
export const unseen = (column: Sql): Sql =>
  sql`(${column} IS NULL OR ${column} < now() - interval '1 minute')`;

/** What is left of a principal behind this key or session: never more than the principal has now. */
export function narrowActor(row: ActorRow, via: { keyId: string | null; sessionId: string | null }): Actor {
  const { id, name, role } = row;
  const scopes = row.keyScopes ?? null;
  const projects = narrow(row.projects, row.keyProjects ?? null);
  const all = permissionsOf(role, projects);
  const permissions = scopes === null ? all : all.filter((one) => scopes.includes(one));
  return { id, name, role, permissions, projects, ...via };
}

function narrow(all: readonly string[] | null, own: readonly string[] | null): readonly string[] | null {
  if (all === null || own === null) return all ?? own;
  return all.filter((project) => own.includes(project));
}
