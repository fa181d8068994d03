import type { Database } from './database.ts';

/**
 * Writes that tell no event, or one that may wait for the poll: numbering it at once would flush the disk between a
 * claim and the completion that follows, which then waits for both.
 */
const unhurried: ReadonlySet<string> = new Set([
  'agents.heartbeat',
  'tasks.claim',
  'tasks.heartbeat',
  'workers.heartbeat',
]);

/** The same database, telling `onCommit` after each write: so that events are numbered without waiting for a poll. */
export function withCommitHook(database: Database, onCommit: () => void): Database {
  return {
    many: (query) => database.many(query),
    maybe: (query) => database.maybe(query),
    one: (query) => database.one(query),
    listen: (channel, onNotify) => database.listen(channel, onNotify),
    session: () => database.session(),
    close: () => database.close(),
    async write(name, query) {
      const rows = await database.write<never>(name, query);
      if (!unhurried.has(name)) onCommit();
      return rows;
    },
    async transaction(name, body) {
      const result = await database.transaction(name, body);
      onCommit();
      return result;
    },
  };
}
