import type { FastifyInstance, FastifySchema } from 'fastify';
import type { Access } from '../access.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The media type of a body that is not JSON. */
    consumes?: string;
    /** The media types of answers that are not JSON, by status. */
    produces?: Readonly<Record<number, string>>;
    /** True where the answer holds a secret that is shown once, so that no copy of it may be kept. */
    secretAnswer?: boolean;
  }
}

/** One address with one method, as it was registered. */
export interface ServedRoute {
  method: string;
  /** As Fastify writes it: `/api/v1/tasks/:id`. */
  url: string;
  schema: FastifySchema;
  access: Access | undefined;
  ifMatch: boolean;
  consumes: string | undefined;
  produces: Readonly<Record<number, string>>;
}

/** Every route that is registered from now on; read it when the server is ready. */
export function collectRoutes(server: FastifyInstance): readonly ServedRoute[] {
  const routes: ServedRoute[] = [];
  server.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) {
      // Fastify adds these by itself beside each GET.
      if (method === 'HEAD' || method === 'OPTIONS' || !route.url.startsWith('/api/')) continue;
      routes.push({
        method,
        url: route.url,
        schema: route.schema ?? {},
        access: route.config?.access,
        ifMatch: route.config?.ifMatch === true,
        consumes: route.config?.consumes,
        produces: route.config?.produces ?? {},
      });
    }
  });
  return routes;
}

/** The methods that an address answers, for 405. @param path without its query */
export function methodsAt(routes: readonly ServedRoute[], path: string): string[] {
  const parts = path.split('/');
  const fitting = routes.filter((route) => {
    const pattern = route.url.split('/');
    return (
      pattern.length === parts.length &&
      pattern.every((part, index) => (part.startsWith(':') ? parts[index] !== '' : part === parts[index]))
    );
  });
  const methods = [...new Set(fitting.map(({ method }) => method))].sort();
  return methods.includes('GET') ? [...methods, 'HEAD'] : methods;
}
