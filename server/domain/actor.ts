import { type Permission, type Role, rolePermissions } from '../../contract/permissions.ts';
import { empty, raw, type Sql, sql } from '../database/sql.ts';
import { AppError } from '../errors.ts';

/** Who does something, as every use case takes it. */
export interface Actor {
  id: string;
  name: string;
  role: Role;
  /** The ids of the projects that this actor sees; null: all of them, those to come as well. */
  projects: readonly string[] | null;
  /** The role's, or the fewer of the key that was sent. */
  permissions: readonly Permission[];
  /** The key that was sent; null for a session, and for the server's own doing. */
  keyId: string | null;
  /** The page's session; null where a key was sent. */
  sessionId: string | null;
}

/** An actor with all that its role gives, and no key. */
export function fullActor(principal: Pick<Actor, 'id' | 'name' | 'role'>): Actor {
  const { id, name, role } = principal;
  const permissions = rolePermissions[role];
  return { id, name, role, projects: null, permissions, keyId: null, sessionId: null };
}

/**
 * A condition for WHERE that holds for what the actor sees.
 * @param column the project's id, such as sql`tasks.project_id`; a row without a project is seen by those who see all
 */
export function visibleTo(actor: Pick<Actor, 'projects'>, column: Sql): Sql {
  return actor.projects === null ? raw('true') : sql`${column} = ANY(${actor.projects}::text[])`;
}

/** `AND …` that holds where the task belongs to what the actor sees; nothing where everything is meant. */
export function ofVisibleTask(actor: Pick<Actor, 'projects'> | undefined, taskId: Sql): Sql {
  if (actor === undefined || actor.projects === null) return empty;
  return sql`AND EXISTS (SELECT FROM tasks AS seen WHERE seen.id = ${taskId}
    AND seen.project_id = ANY(${actor.projects}::text[]))`;
}

export function sees(actor: Pick<Actor, 'projects'>, projectId: string | null): boolean {
  return actor.projects === null || (projectId !== null && actor.projects.includes(projectId));
}

/** @throws AppError forbidden naming what is missing */
export function requirePermission(actor: Actor, permission: Permission): void {
  if (actor.permissions.includes(permission)) return;
  throw new AppError(
    'forbidden',
    rolePermissions[actor.role].includes(permission)
      ? `It needs ${permission}, which this key does not hold, or which nobody has who sees only some projects. Use a key that has it.`
      : `A principal with the role ${actor.role} may not do this: it needs ${permission}. Ask an admin for a key that has it.`,
  );
}
