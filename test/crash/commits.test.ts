import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const server = join(import.meta.dirname, '..', '..', 'server');
/** A statement given to the database outside of `write` and `transaction`, up to the end of its first text. */
const bareStatement = /\bdatabase\.(?:many|maybe|one)(?:<[^`;]*>)?\(\s*sql`([^`]*)/g;
const writing = /\b(?:INSERT INTO|UPDATE \w+ SET|DELETE FROM|FOR (?:NO KEY )?UPDATE|FOR (?:KEY )?SHARE)\b/;

/** What commits without a name has no crash point, and the enumeration would not see it. */
function findNamelessCommits(source: string): string[] {
  return [...source.matchAll(bareStatement)].flatMap(([, text = '']) =>
    writing.test(text) ? [text.trim()] : [],
  );
}

test('every statement that writes goes through a commit with a name', () => {
  const files = readdirSync(server, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.ts') && !/(\.test|-fixture|test-[a-z]+)\.ts$/.test(path),
  );
  expect(files.length).toBeGreaterThan(50);
  const nameless = files.flatMap((path) =>
    findNamelessCommits(readFileSync(join(server, path), 'utf8')).map((text) => `${path}: ${text}`),
  );
  expect(nameless).toEqual([]);
});

test('a nameless commit would be seen', () => {
  expect(
    findNamelessCommits('await this.database.many<{ a: 1 }>(\n  sql`UPDATE runs SET a = 1`)'),
  ).toHaveLength(1);
  expect(findNamelessCommits('await database.many(sql`SELECT 1`)')).toEqual([]);
});
