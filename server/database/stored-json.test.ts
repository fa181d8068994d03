import fc from 'fast-check';
import { expect, test } from 'vitest';
import { json, sql } from './sql.ts';
import { asStored } from './stored-json.ts';
import { createTestDatabase } from './test-database.ts';

test('a value as stored is the one that PostgreSQL gives back, to the order of its keys', async () => {
  await using fixture = await createTestDatabase({ migrations: [] });
  const read = async (value: unknown) => {
    const row = await fixture.database.one<{ value: unknown }>(sql`SELECT ${json(value)} AS value`);
    return JSON.stringify(row.value);
  };
  const known = [
    undefined,
    { bb: 1, a: { é: 1, zz: 2, z: undefined }, 10: 0, 9: 0 },
    { '\u0000': '\ud800', ['__proto__']: { b: -0, a: 1e21 } },
  ];
  for (const value of known) expect(JSON.stringify(asStored(value))).toBe(await read(value));
  const values = fc.anything({
    key: fc.string({ unit: 'binary' }),
    values: [fc.string({ unit: 'binary' }), fc.double(), fc.boolean()],
  });
  await fc.assert(
    fc.asyncProperty(values, async (value) => {
      expect(JSON.stringify(asStored(value))).toBe(await read(value));
    }),
    { numRuns: 150 },
  );
});
