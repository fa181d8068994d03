import { afterAll, beforeAll, expect, test } from 'vitest';
import { House } from '../e2e/house.ts';
import { fetchAs, keyOf } from './people.ts';
import { probeHeader, type SeenRoute, watchRoutes } from './served-routes.ts';
import { type Caller, callers, table } from './table.ts';

let house: House;
let routes: SeenRoute[];
let keys: Record<Caller, string | null>;
beforeAll(async () => {
  using watch = watchRoutes();
  house = await House.open({ roles: ['api'] });
  ({ routes } = watch);
  const [operator, viewer, agent] = await Promise.all([
    keyOf(house, 'operator'),
    keyOf(house, 'viewer'),
    keyOf(house, 'agent'),
  ]);
  keys = { admin: house.key, operator: operator.key, viewer: viewer.key, agent: agent.key, nobody: null };
});
afterAll(() => house[Symbol.asyncDispose]());

const api = () => routes.filter(({ url }) => url.startsWith('/api/'));

test('the table names every route of the server, and none that there is not', () => {
  const served = [...new Set(api().map(({ name }) => name))].sort();
  expect(served.length).toBeGreaterThan(50);
  expect(
    Object.keys(table).sort(),
    'add the route to test/access/table.ts, or take the stale one out',
  ).toEqual(served);
});

test('beside the API there are only the page and what it is made of', () => {
  const beside = routes.filter(({ url }) => !url.startsWith('/api/'));
  for (const { name } of beside)
    expect(name).toMatch(
      /^GET \/(assets\/|[\w.-]+\.(svg|js|html|ico|txt|webmanifest|png)(\.gz|\.br)?$|metrics$|index\.html)/,
    );
});

test('every route answers every role as the table says', async () => {
  const wrong: string[] = [];
  for (const { name, method, url } of api()) {
    const path = url.replace(/:\w+/g, 'x').replace('*', 'x');
    for (const caller of callers) {
      const response = await fetchAs(house, keys[caller], path, {
        method,
        headers: { [probeHeader]: 'yes' },
      });
      await response.body?.cancel();
      const expected = expectedStatus(caller, table[name] ?? []);
      if (response.status !== expected)
        wrong.push(`${name} as ${caller}: ${response.status}, not ${expected}`);
    }
  }
  expect(wrong).toEqual([]);
});

function expectedStatus(caller: Caller, allowed: readonly Caller[]): number {
  if (allowed.includes(caller)) return 299;
  return caller === 'nobody' ? 401 : 403;
}
