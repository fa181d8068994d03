import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { type Actor, fullActor } from '../actor.ts';
import { createPrincipal } from './change-principals.ts';
import { findLiveActors, hasSameRights } from './live-actors.ts';
import { issueOwnerKey } from './principals.ts';
import { createLoginToken, endSession, findSession, logIn, redeemLoginToken } from './sessions.ts';
import { setPassword } from './set-password.ts';

let home: TestDatabase;
let owner: Actor;
beforeAll(async () => {
  home = await createTestDatabase();
  owner = (await issueOwnerKey(home.database, 'here')).owner;
});
afterAll(() => home[Symbol.asyncDispose]());

const begin = async () =>
  redeemLoginToken(home.database, (await createLoginToken(home.database, owner)).token);
const password = 'a long enough password';

test('a session ends after half an hour of rest, and after twelve hours in any case', async () => {
  const resting = await begin();
  const used = await begin();
  const rest = (minutes: number) =>
    home.database.many(sql`UPDATE sessions SET seen_at = seen_at - make_interval(mins => ${minutes})`);
  await rest(29);
  expect(await findSession(home.database, used.secret)).toBeDefined();
  await rest(2);
  expect(await findSession(home.database, resting.secret)).toBeUndefined();
  expect(await findSession(home.database, used.secret)).toBeDefined();
  await home.database.many(sql`UPDATE sessions SET expires_at = now() WHERE id = ${used.actor.sessionId}`);
  expect(await findSession(home.database, used.secret)).toBeUndefined();
});

test('a password is kept as Argon2id, and begins sessions', async () => {
  await setPassword(home.database, owner, 'owner', { password });
  const { kept } = await home.database.one<{ kept: string }>(
    sql`SELECT password AS kept FROM principals WHERE name = 'owner'`,
  );
  expect(kept).toMatch(/^\$argon2id\$v=19\$m=65536,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  const { secret, actor } = await logIn(home.database, 'owner', password);
  expect(actor).toMatchObject({ name: 'owner', role: 'admin', keyId: null });
  expect((await findSession(home.database, secret))?.actor).toEqual(actor);
  for (const [name, tried] of [
    ['owner', `${password} `],
    ['owner', ''],
    ['nobody', password],
  ] as const)
    await expect(logIn(home.database, name, tried)).rejects.toMatchObject({ code: 'unauthenticated' });
});

test('a wrong name takes as long as a wrong password', async () => {
  await setPassword(home.database, owner, 'owner', { password });
  const cpuOf = async (name: string) => {
    const before = process.cpuUsage();
    await expect(logIn(home.database, name, 'wrong')).rejects.toMatchObject({ code: 'unauthenticated' });
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  await cpuOf('owner');
  const [known, unknown] = [await cpuOf('owner'), await cpuOf('nobody')];
  // The work of hashing is done in both; without it there would be almost none.
  expect(unknown).toBeGreaterThan(known / 3);
});

test('a new password ends the other sessions and open links, not the one that set it', async () => {
  await setPassword(home.database, owner, 'owner', { password });
  const [here, there] = [await begin(), await begin()];
  const { token } = await createLoginToken(home.database, owner);
  await expect(
    setPassword(home.database, here.actor, 'owner', { password: 'another long one', current: 'wrong' }),
  ).rejects.toMatchObject({ code: 'forbidden' });
  await setPassword(home.database, here.actor, 'owner', { password: 'another long one', current: password });
  expect(await findSession(home.database, here.secret)).toBeDefined();
  expect(await findSession(home.database, there.secret)).toBeUndefined();
  await expect(redeemLoginToken(home.database, token)).rejects.toMatchObject({ code: 'unauthenticated' });
});

test('only people have passwords, and nobody sets another’s without managing them', async () => {
  await createPrincipal(home.database, owner, {
    kind: 'service',
    name: 'ci',
    role: 'operator',
    projects: null,
  });
  await createPrincipal(home.database, owner, {
    kind: 'human',
    name: 'vera',
    role: 'viewer',
    projects: null,
  });
  await expect(setPassword(home.database, owner, 'ci', { password })).rejects.toMatchObject({
    code: 'unprocessable',
  });
  const vera = fullActor({ ...(await actorNamed('vera')), role: 'viewer' });
  await expect(setPassword(home.database, vera, 'owner', { password })).rejects.toMatchObject({
    code: 'not_found',
  });
  await setPassword(home.database, vera, 'vera', { password });
  expect((await logIn(home.database, 'vera', password)).actor.role).toBe('viewer');
});

test('a narrowed key gets no session, by link or password: it would have more', async () => {
  const narrow = { ...owner, permissions: ['session:own'] as const };
  await expect(createLoginToken(home.database, narrow)).rejects.toMatchObject({ code: 'forbidden' });
  await expect(setPassword(home.database, narrow, 'owner', { password })).rejects.toMatchObject({
    code: 'forbidden',
  });
});

test('what is behind a connection is looked up again by its id', async () => {
  const session = await begin();
  const look = async () =>
    (await findLiveActors(home.database, { keys: [], sessions: [session.actor.sessionId ?? ''] })).get(
      session.actor.sessionId ?? '',
    );
  const found = await look();
  expect(found !== undefined && hasSameRights(found, session.actor)).toBe(true);
  await endSession(home.database, session.actor);
  expect(await look()).toBeUndefined();
});

async function actorNamed(name: string): Promise<{ id: string; name: string }> {
  return home.database.one(sql`SELECT id, name FROM principals WHERE name = ${name}`);
}
