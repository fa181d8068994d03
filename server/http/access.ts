import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Permission } from '../../contract/permissions.ts';
import type { Database } from '../database/database.ts';
import { requirePermission } from '../domain/actor.ts';
import { type ProjectThing, requireVisible } from '../domain/principals/project-of.ts';
import { idParams } from './lists.ts';

/** What a route tells of itself, as its `config.access`. */
export interface Access {
  /** `open` needs no key: nothing behind it is private. */
  permission: Permission | 'open';
  /**
   * What `params.id` names, where it names something of a project: who does not see that project is answered
   * 404, as if it were not there.
   */
  within?: ProjectThing;
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

/** Refuses by role and key (403), and what is of a project that the actor does not see (404). */
export function authorise(database: Database) {
  return async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
    const { access } = request.routeOptions.config;
    if (access === undefined || access.permission === 'open') return;
    requirePermission(request.actor, access.permission);
    if (access.within === undefined) return;
    const params: unknown = request.params;
    const { id } = idParams.parse(params);
    await requireVisible(database, request.actor, access.within, id);
  };
}
