import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Client } from '../../cli/client.ts';
import { readSteps } from '../../cli/steps.ts';
import { createClient } from '../../client/index.ts';
import type { Step } from '../../contract/steps.ts';
import { sql } from '../../server/database/sql.ts';
import { House, honest } from '../e2e/house.ts';

test('what an earlier version stored is answered whole, and read by client and command line', async () => {
  await using house = await House.open({ roles: ['api'], validateAnswers: false });
  const { run } = await house.start(honest);
  const old = [
    { seq: 1, kind: 'model', intent: { model: 'old/one', prompt: 'p' }, result: { words: 'hello' } },
    { seq: 2, kind: 'tool', intent: { name: 'read_file' }, result: null },
    { seq: 3, kind: 'note', intent: {}, result: { more: [1] } },
  ];
  for (const { seq, kind, intent, result } of old) {
    await house.database.many(
      sql`INSERT INTO steps (run_id, seq, kind, name, status, lease_token, intent, result, error)
          VALUES (${run.id}, ${seq}, ${kind}, 'old', 'failed', 1, ${JSON.stringify(intent)}::jsonb,
            ${result === null ? null : JSON.stringify(result)}::jsonb, '{"class": "long_gone", "message": "m"}')`,
    );
  }
  const inside = (steps: readonly Step[]) =>
    steps.map(({ seq, kind, intent, result }) => ({ seq, kind, intent, result }));
  expect(inside(await house.steps(run.id))).toEqual(old);
  const client = createClient({ url: house.url, key: house.key });
  expect(inside((await client.listSteps({ id: run.id })).items)).toEqual(old);
  const commandLine = new Client(join(house.folder, 'home'));
  expect(inside(await readSteps(commandLine, run.id, 0))).toEqual(old);
});
