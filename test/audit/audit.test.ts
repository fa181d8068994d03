import { expect, test } from 'vitest';
import { sql } from '../../server/database/sql.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { mission } from '../mission.ts';
import { makeHome } from '../start-app.ts';

test('mission audit proves that the log is whole, and names what a superuser did to it', {
  timeout: 120_000,
}, async () => {
  await using store = await createTestDatabase();
  await using home = await makeHome();
  const env = { DATABASE_URL: store.connectionString };
  const first = await home.start({ env });
  const whole = await mission(home.path, ['audit', 'verify']);
  expect(whole).toMatchObject({ status: 0 });
  expect(whole.stdout).toContain('The log holds');
  const head = await mission(home.path, ['audit', 'head']);
  expect(head.stdout).toMatch(/^\d+:[0-9a-f]{64}\n$/);
  expect((await mission(home.path, ['audit', 'verify', '--anchor', head.stdout.trim()])).status).toBe(0);
  expect((await mission(home.path, ['audit', 'verify', '--anchor', 'nonsense'])).status).toBe(2);
  // Its newest place is written down at the stop.
  await first.stop();

  const last = await store.database.one<{ sequence: number }>(
    sql`SELECT max(sequence) AS sequence FROM events`,
  );
  await store.database.many(sql`ALTER TABLE events DISABLE TRIGGER events_append_only`);
  await store.database.many(sql`DELETE FROM events WHERE sequence = ${last.sequence}`);
  await store.database.many(sql`ALTER TABLE events ENABLE TRIGGER events_append_only`);
  const second = await home.start({ env });
  await second.awaitLog('tampered');
  const cut = await mission(home.path, ['audit', 'verify']);
  expect(cut).toMatchObject({ status: 1 });
  expect(cut.stderr).toMatch(/The log was (cut|rewritten)/);

  await store.database.many(sql`ALTER TABLE events DISABLE TRIGGER events_append_only`);
  await store.database.many(sql`UPDATE events SET actor = 'another' WHERE sequence = 2`);
  const changed = await mission(home.path, ['audit', 'verify', '--json']);
  expect(changed).toMatchObject({ status: 1 });
  expect(JSON.parse(changed.stdout)).toMatchObject({ holds: false, fault: { kind: 'changed', sequence: 2 } });
});
