import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { type Permission, rolePermissions } from '../../contract/permissions.ts';
import { AppError } from '../errors.ts';

/** What a route tells of itself, as its `config.access`. */
export interface Access {
  /** `open` needs no key: nothing behind it is private. */
  permission: Permission | 'open';
  /**
   * What `params.id` names, where it names something of a project: who does not see that project is answered
   * 404, as if it were not there.
   */
  within?: 'artifact' | 'ask' | 'change' | 'project' | 'run' | 'task';
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
}

/** The `config` of a route. */
export function may(permission: Access['permission'], within?: Access['within']): { access: Access } {
  return { access: within === undefined ? { permission } : { permission, within } };
}

/** A route that says nothing of who may use it does not come to be: the server refuses to start. */
export function requireAccess(route: RouteOptions): void {
  if (route.config?.access === undefined) {
    throw new Error(`the route ${String(route.method)} ${route.url} names no access in its config`);
  }
}

/** @throws AppError forbidden */
export async function authorise(request: FastifyRequest, _reply: FastifyReply): Promise<void> {
  const { access } = request.routeOptions.config;
  if (access === undefined || access.permission === 'open') return;
  const { role } = request.actor;
  if (rolePermissions[role].includes(access.permission)) return;
  throw new AppError(
    'forbidden',
    `A principal with the role ${role} may not do this: it needs ${access.permission}. Ask an admin for a key that has it.`,
  );
}
