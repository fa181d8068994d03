import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { permissions } from '../../../contract/permissions.ts';
import { createKeyBody } from '../../../contract/principals.ts';
import { sql } from '../../database/sql.ts';
import { createTestDatabase, type TestDatabase } from '../../database/test-database.ts';
import { newId } from '../../ids.ts';
import type { Actor } from '../actor.ts';
import { createPrincipal, getPrincipal, listPrincipals, updatePrincipal } from './change-principals.ts';
import { createKey, listKeys, revokeKey } from './keys.ts';
import { findPrincipalByKey, issueOwnerKey } from './principals.ts';

let home: TestDatabase;
let owner: Actor;
let projects: [string, string];
beforeAll(async () => {
  home = await createTestDatabase();
  const { key } = await issueOwnerKey(home.database, 'here');
  owner = await actorOf(key);
  projects = [await project('shop'), await project('bank')];
});
afterAll(() => home[Symbol.asyncDispose]());

async function project(name: string): Promise<string> {
  const id = newId('prj');
  await home.database.many(
    sql`INSERT INTO projects (id, name, location) VALUES (${id}, ${name}, ${`/srv/${name}`})`,
  );
  return id;
}

async function actorOf(key: string): Promise<Actor> {
  const actor = await findPrincipalByKey(home.database, key);
  if (actor === undefined) throw new Error('the key is not live');
  return actor;
}

const make = (actor: Actor, body: Record<string, unknown>) =>
  createKey(home.database, actor, createKeyBody.parse(body));

async function somebody(role: string, more: Record<string, unknown> = {}): Promise<Actor> {
  return actorOf((await make(owner, { role, ...more })).key);
}

describe('a key', () => {
  test('holds what was asked for, and only its hash is kept', async () => {
    const made = await make(owner, {
      label: 'reports',
      scopes: ['tasks:read', 'runs:read'],
      projects: ['shop'],
    });
    expect(await actorOf(made.key)).toMatchObject({
      id: owner.id,
      role: 'admin',
      keyId: made.id,
      permissions: ['runs:read', 'tasks:read'],
      projects: [projects[0]],
    });
    expect(JSON.stringify(await home.database.many(sql`SELECT * FROM api_keys`))).not.toContain(
      made.key.slice(3),
    );
    expect(JSON.stringify(await home.database.many(sql`SELECT * FROM event_outbox`))).not.toContain(
      made.key.slice(3),
    );
  });

  test('shows when it was last used, to the minute', async () => {
    const made = await make(owner, { role: 'viewer', name: 'used' });
    expect(made.lastUsedAt).toBeNull();
    await actorOf(made.key);
    const [first] = await listKeys(home.database, owner, { principal: 'used', all: false });
    await actorOf(made.key);
    const [second] = await listKeys(home.database, owner, { principal: 'used', all: false });
    expect(first?.lastUsedAt).not.toBeNull();
    expect(second?.lastUsedAt).toBe(first?.lastUsedAt);
  });

  test('ends at its time, when it is revoked, and while its principal is disabled', async () => {
    const made = await make(owner, { role: 'operator', name: 'ends', expiresInSeconds: 3_600 });
    expect(Date.parse(made.expiresAt ?? '') - Date.parse(made.createdAt)).toBe(3_600_000);
    await updatePrincipal(home.database, owner, 'ends', { disabled: true });
    expect(await findPrincipalByKey(home.database, made.key)).toBeUndefined();
    await updatePrincipal(home.database, owner, 'ends', { disabled: false });
    expect(await findPrincipalByKey(home.database, made.key)).toBeDefined();
    await home.database.many(sql`UPDATE api_keys SET expires_at = now() WHERE id = ${made.id}`);
    expect(await findPrincipalByKey(home.database, made.key)).toBeUndefined();
    const other = await make(owner, { principal: 'ends' });
    await revokeKey(home.database, owner, other.id);
    await revokeKey(home.database, owner, other.id);
    expect(await findPrincipalByKey(home.database, other.key)).toBeUndefined();
    const events = await home.database.many(
      sql`SELECT 1 FROM event_outbox WHERE type = 'key.revoked' AND entity_id = ${other.id}`,
    );
    expect(events).toHaveLength(1);
  });

  test('follows its principal down, at once', async () => {
    const made = await make(owner, { role: 'admin', name: 'falls', scopes: ['tasks:read', 'system:manage'] });
    await updatePrincipal(home.database, owner, 'falls', { role: 'viewer', projects: ['bank'] });
    expect(await actorOf(made.key)).toMatchObject({
      role: 'viewer',
      permissions: ['tasks:read'],
      projects: [projects[1]],
    });
  });
});

describe('nobody gives more than they have', () => {
  test('not by role, scope, project or time', async () => {
    const narrow = await actorOf((await make(owner, { scopes: ['keys:own', 'tasks:read'] })).key);
    await expect(make(narrow, { scopes: ['tasks:write'] })).rejects.toMatchObject({ code: 'forbidden' });
    expect(await actorOf((await make(narrow, {})).key)).toMatchObject({
      permissions: ['keys:own', 'tasks:read'],
    });

    const manager = await actorOf((await make(owner, { scopes: ['keys:own', 'principals:manage'] })).key);
    await expect(make(manager, { role: 'viewer' })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(
      createPrincipal(home.database, manager, { kind: 'human', name: 'eve', role: 'admin', projects: null }),
    ).rejects.toMatchObject({ code: 'forbidden' });

    const shop = await somebody('admin', { name: 'shop-admin', projects: ['shop'] });
    await expect(make(shop, { projects: ['bank'] })).rejects.toMatchObject({ code: 'unprocessable' });
    await expect(
      createPrincipal(home.database, shop, { kind: 'human', name: 'eve', role: 'viewer', projects: null }),
    ).rejects.toMatchObject({ code: 'forbidden' });
    expect((await make(shop, { role: 'viewer', name: 'shop-viewer' })).principal.name).toBe('shop-viewer');
    expect(await getPrincipal(home.database, owner, 'shop-viewer')).toMatchObject({
      projects: [projects[0]],
    });

    const short = await make(owner, { role: 'operator', name: 'short', expiresInSeconds: 60 });
    const child = await make(await actorOf(short.key), { expiresInSeconds: 3_600 });
    expect(child.expiresAt).toBe(short.expiresAt);
  });

  test('who sees some projects reaches into no other: not with the whole server, not with its people', async () => {
    const shop = await somebody('admin', { name: 'local-admin', projects: ['shop'] });
    expect(permissions.filter((one) => !shop.permissions.includes(one))).toEqual([
      'agents:manage',
      'audit:read',
      'budgets:manage',
      'credentials:manage',
      'metrics:read',
      'policy:manage',
      'system:manage',
    ]);
    await make(owner, { role: 'viewer', name: 'bank-viewer', projects: ['bank'] });
    await expect(make(shop, { principal: 'bank-viewer' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(getPrincipal(home.database, shop, 'owner')).rejects.toMatchObject({ code: 'not_found' });
    const names = (await listPrincipals(home.database, shop)).map(({ name }) => name);
    expect(names).toContain('local-admin');
    expect(names).not.toContain('bank-viewer');
    expect(names).not.toContain('owner');
  });

  test('a key that it made for itself falls with a stolen one; those of others stay', async () => {
    const stolen = await make(owner, { role: 'admin', name: 'robbed' });
    const thief = await actorOf(stolen.key);
    const second = await make(thief, {});
    const third = await make(await actorOf(second.key), {});
    const others = await make(thief, { role: 'viewer', name: 'innocent' });
    await revokeKey(home.database, owner, stolen.id);
    for (const { key } of [stolen, second, third])
      expect(await findPrincipalByKey(home.database, key)).toBeUndefined();
    expect(await findPrincipalByKey(home.database, others.key)).toBeDefined();
  });

  test('agents stay agents, and the last admin stays', async () => {
    const agent = await createPrincipal(home.database, owner, {
      kind: 'agent',
      name: 'robot',
      role: 'agent',
      projects: null,
    });
    await expect(updatePrincipal(home.database, owner, agent.id, { role: 'operator' })).rejects.toMatchObject(
      {
        code: 'unprocessable',
      },
    );
    await home.database.many(
      sql`UPDATE principals SET disabled_at = now() WHERE role = 'admin' AND name <> 'owner'`,
    );
    for (const body of [{ disabled: true }, { role: 'viewer' as const }, { projects: [projects[0]] }])
      await expect(updatePrincipal(home.database, owner, 'owner', body)).rejects.toMatchObject({
        code: 'wrong_state',
      });
  });
});
