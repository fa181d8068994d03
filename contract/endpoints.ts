import { agentEndpoints } from './endpoints/agents.ts';
import type { EndpointSpec } from './endpoints/endpoint.ts';
import { hookEndpoints } from './endpoints/hooks.ts';
import { peopleEndpoints } from './endpoints/people.ts';
import { policyEndpoints } from './endpoints/policies.ts';
import { securityEndpoints } from './endpoints/security.ts';
import { systemEndpoints } from './endpoints/system.ts';
import { taskEndpoints } from './endpoints/tasks.ts';
import { workEndpoints } from './endpoints/work.ts';

/** Raised where a client of before can no longer read what is answered, or is refused what it sends. */
export const apiVersion = '1.0.0';

/** Every operation of the API, by the name that the client's methods and the OpenAPI document give it. */
export const endpoints = {
  ...workEndpoints,
  ...taskEndpoints,
  ...agentEndpoints,
  ...peopleEndpoints,
  ...policyEndpoints,
  ...securityEndpoints,
  ...hookEndpoints,
  ...systemEndpoints,
};
export type Endpoints = typeof endpoints;
export type EndpointName = keyof Endpoints;

export type Endpoint = EndpointSpec & { name: string };

/** @param path as in the table, or with `:id` in the place of `{id}` */
export function findEndpoint(method: string, path: string): Endpoint | undefined {
  const wanted = path.replace(/:(\w+)/g, '{$1}');
  const all: [string, EndpointSpec][] = Object.entries(endpoints);
  const found = all.find(([, each]) => each.method === method && each.path === wanted);
  return found === undefined ? undefined : { name: found[0], ...found[1] };
}
