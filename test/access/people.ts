import type { CreatedKey, PrincipalView } from '../../contract/principals.ts';
import type { House } from '../e2e/house.ts';

/** A key of a new principal with this role. */
export async function keyOf(
  house: House,
  role: 'admin' | 'operator' | 'viewer' | 'agent',
  more: { name?: string; projects?: string[]; scopes?: string[] } = {},
): Promise<CreatedKey> {
  if (role !== 'agent') return expectKey(await house.ask('POST', '/keys', { role, ...more }));
  const { projects = null, scopes, name = `agent-${Math.random().toString(36).slice(2)}` } = more;
  const principal = await house.ask<PrincipalView>('POST', '/principals', {
    kind: 'agent',
    role,
    name,
    projects,
  });
  const body = { principal: principal.id, ...(scopes === undefined ? {} : { scopes }) };
  return expectKey(await house.ask('POST', '/keys', body));
}

function expectKey(answer: CreatedKey): CreatedKey {
  if (typeof answer.key === 'string') return answer;
  throw new Error(`no key was made: ${JSON.stringify(answer)}`);
}

/** With this key instead of the owner's; with none where it is null. */
export function fetchAs(
  house: House,
  key: string | null,
  path: string,
  options: RequestInit = {},
): Promise<Response> {
  const authorization: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  const headers = { ...authorization, ...Object.fromEntries(new Headers(options.headers)) };
  return fetch(`${house.url}${path}`, { ...options, headers });
}
