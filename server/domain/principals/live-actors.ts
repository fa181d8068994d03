import type { Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import type { Actor } from '../actor.ts';
import {
  type ActorRow,
  actorColumns,
  keyColumns,
  keyLives,
  narrowActor,
  sessionLives,
} from './find-actor.ts';

/**
 * What is behind these keys and sessions now, by their ids; those that were revoked, have expired, have ended or
 * whose principal is disabled are missing. It looks at the rows, so it tells what any process did.
 */
export async function findLiveActors(
  database: Queryable,
  ids: { keys: readonly string[]; sessions: readonly string[] },
): Promise<Map<string, Actor>> {
  const live = new Map<string, Actor>();
  if (ids.keys.length > 0) {
    const rows = await database.many<ActorRow & { keyId: string }>(
      sql`SELECT ${actorColumns}, ${keyColumns} FROM api_keys JOIN principals ON principals.id = api_keys.principal_id
          WHERE api_keys.id = ANY(${ids.keys}::text[]) AND ${keyLives}`,
    );
    for (const row of rows) live.set(row.keyId, narrowActor(row, { keyId: row.keyId, sessionId: null }));
  }
  if (ids.sessions.length > 0) {
    const rows = await database.many<ActorRow & { sessionId: string }>(
      sql`SELECT ${actorColumns}, sessions.id AS "sessionId"
          FROM sessions JOIN principals ON principals.id = sessions.principal_id
          WHERE sessions.id = ANY(${ids.sessions}::text[]) AND ${sessionLives}`,
    );
    for (const row of rows)
      live.set(row.sessionId, narrowActor(row, { keyId: null, sessionId: row.sessionId }));
  }
  return live;
}

/** Whether both may do and see the same. */
export function hasSameRights(one: Actor, other: Actor): boolean {
  return (
    one.role === other.role &&
    isSameList(one.permissions, other.permissions) &&
    isSameList(one.projects, other.projects)
  );
}

/** Asked for thousands of open connections at a time, of which most share the list of their role. */
function isSameList(one: readonly string[] | null, other: readonly string[] | null): boolean {
  if (one === other) return true;
  if (one === null || other === null || one.length !== other.length) return false;
  return one.every((entry, index) => entry === other[index]);
}
