import { type Permission, permissionsOf, type Role } from '../../../contract/permissions.ts';
import type { Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { type Actor, visibleTo } from '../actor.ts';
import { actorColumns } from './find-actor.ts';

/** What somebody may do, and where. */
export interface Rights {
  permissions: readonly Permission[];
  /** Null: in all projects. */
  projects: readonly string[] | null;
}

/** What is asked for and the giver lacks; empty where everything can be given. */
export function exceeding(giver: Rights, asked: Rights): string[] {
  const permissions = asked.permissions.filter((one) => !giver.permissions.includes(one));
  return [...permissions, ...projectsBeyond(giver.projects, asked.projects)];
}

function projectsBeyond(own: Rights['projects'], asked: Rights['projects']): string[] {
  if (own === null) return [];
  if (asked === null) return ['all projects'];
  return asked.filter((project) => !own.includes(project));
}

/** Nobody gives more than they have themself. @throws AppError forbidden naming what is beyond */
export function requireNoMore(giver: Actor, asked: Rights): void {
  const beyond = exceeding(giver, asked);
  if (beyond.length === 0) return;
  throw new AppError(
    'forbidden',
    `Nobody can give more than they have: ${beyond.join(', ')} is beyond you or beyond the key that you use. Ask for less, or ask an admin.`,
  );
}

/** An agent has the role `agent`, and nobody else has it. @throws AppError unprocessable */
export function requireFittingRole(kind: string, role: Role): void {
  if ((kind === 'agent') === (role === 'agent')) return;
  throw new AppError(
    'unprocessable',
    kind === 'agent'
      ? 'The role of an agent is `agent`: agents decide nothing about themselves or others.'
      : 'The role `agent` is for agents; people and services are admin, operator or viewer.',
  );
}

export const rightsOf = (role: Role, projects: Rights['projects']): Rights => ({
  permissions: permissionsOf(role, projects),
  projects,
});

/**
 * The ids of projects that were given by id or name; null stays all of them.
 * @throws AppError unprocessable for one that there is not, or that the actor does not see
 */
export async function resolveProjects(
  database: Queryable,
  actor: Actor,
  given: readonly string[] | null,
): Promise<string[] | null> {
  if (given === null) return null;
  const known = await database.many<{ id: string; name: string }>(
    sql`SELECT id, name FROM projects WHERE (id = ANY(${given}::text[]) OR name = ANY(${given}::text[]))
          AND ${visibleTo(actor, sql`id`)}`,
  );
  const ids = given.map((text) => {
    const found = known.filter(({ id, name }) => id === text || name === text);
    const exact = found.find(({ id }) => id === text) ?? (found.length === 1 ? found[0] : undefined);
    if (exact !== undefined) return exact.id;
    throw new AppError(
      'unprocessable',
      found.length === 0
        ? `there is no project ${text}; list them with GET /projects`
        : `several projects are named ${text}: give the id, one of ${found.map(({ id }) => id).join(', ')}`,
    );
  });
  return [...new Set(ids)];
}

/** All that a principal has now, whatever key it came with. */
export async function findRights(database: Queryable, principalId: string): Promise<Rights> {
  const { role, projects } = await database.one<{ role: Role; projects: string[] | null }>(
    sql`SELECT ${actorColumns} FROM principals WHERE id = ${principalId}`,
  );
  return rightsOf(role, projects);
}
