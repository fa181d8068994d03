import type { Database, Transaction } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';

/** A run may not call now: until when, and why. */
export interface Pause {
  until: number;
  reason: string;
}

/** How far apart the first calls go after a provider asked everybody to wait, and for how long they do. */
const afterBlock = { intervalMs: 250, forMs: 60_000 };
/** Where a provider says to slow down but not for how long. */
const unsaidBlockMs = 5_000;
const longestBlockMs = 3_600_000;

interface PaceRow {
  blockedUntil: string;
  reason: string;
  nextPlace: string;
}

/**
 * One row a provider, shared by every run of every process: after one run was told to slow down all of them
 * wait, and a configured number of calls a minute is kept by giving out places in time. A run that must wait
 * keeps its place while it is parked, so that those who wake do not push each other back.
 */
export class Pace {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #limits: () => Promise<ReadonlyMap<string, number>>;

  /** @param limits calls a minute by provider, as they are now */
  constructor(options: {
    database: Database;
    now: () => number;
    limits: () => Promise<ReadonlyMap<string, number>>;
  }) {
    this.#database = options.database;
    this.#now = options.now;
    this.#limits = options.limits;
  }

  /** Null where the run may call at once; its place is then used. */
  async enter(runId: string, model: string): Promise<Pause | null> {
    const provider = providerOf(model);
    if (provider === null) return null;
    const limit = (await this.#limits()).get(provider) ?? null;
    const row = await readPace(this.#database, provider);
    const now = this.#now();
    if (limit === null && (row === undefined || Date.parse(row.blockedUntil) + afterBlock.forMs < now))
      return null;
    return this.#database.transaction('paces.enter', (transaction) =>
      this.#takePlace(transaction, { runId, provider, limit, now }),
    );
  }

  /** A provider said to slow down: nobody calls it until then. */
  async slowDown(model: string, retryAfterMs: number | undefined, reason: string): Promise<void> {
    const provider = providerOf(model);
    if (provider === null) return;
    const until = this.#now() + Math.min(retryAfterMs ?? unsaidBlockMs, longestBlockMs);
    await this.#database.write(
      'paces.slow',
      sql`INSERT INTO provider_paces (provider, blocked_until, reason)
          VALUES (${provider}, ${iso(until)}::timestamptz, ${reason.slice(0, 500)})
          ON CONFLICT (provider) DO UPDATE SET reason = excluded.reason,
            blocked_until = greatest(provider_paces.blocked_until, excluded.blocked_until)`,
    );
  }

  async #takePlace(
    transaction: Transaction,
    { runId, provider, limit, now }: { runId: string; provider: string; limit: number | null; now: number },
  ): Promise<Pause | null> {
    await transaction.many(
      sql`INSERT INTO provider_paces (provider) VALUES (${provider}) ON CONFLICT DO NOTHING`,
    );
    const pace = await transaction.one<PaceRow>(
      sql`SELECT ${columns} FROM provider_paces WHERE provider = ${provider} FOR UPDATE`,
    );
    const blockedUntil = Date.parse(pace.blockedUntil);
    const held = await transaction.maybe<{ at: string }>(
      sql`SELECT at FROM provider_places WHERE run_id = ${runId} AND provider = ${provider}`,
    );
    const reason =
      blockedUntil > now
        ? `${provider} asked to slow down: ${pace.reason}`
        : `${provider} takes ${limit ?? 240} calls a minute, and others come first`;
    // A place from before a block that still lasts is taken anew behind it.
    if (held !== undefined && Date.parse(held.at) >= blockedUntil) {
      if (Date.parse(held.at) > now) return { until: Date.parse(held.at), reason };
      await transaction.many(sql`DELETE FROM provider_places WHERE run_id = ${runId}`);
      return null;
    }
    const { place, next } = placeAfter(Date.parse(pace.nextPlace), Math.max(now, blockedUntil), limit);
    await transaction.many(
      sql`UPDATE provider_paces SET next_place = ${iso(next)}::timestamptz WHERE provider = ${provider}`,
    );
    if (place <= now) {
      await transaction.many(sql`DELETE FROM provider_places WHERE run_id = ${runId}`);
      return null;
    }
    await transaction.many(
      sql`INSERT INTO provider_places (run_id, provider, at) VALUES (${runId}, ${provider}, ${iso(place)}::timestamptz)
          ON CONFLICT (run_id) DO UPDATE SET provider = excluded.provider, at = excluded.at`,
    );
    return { until: place, reason };
  }
}

const columns = sql`blocked_until AS "blockedUntil", reason, next_place AS "nextPlace"`;

async function readPace(database: Database, provider: string): Promise<PaceRow | undefined> {
  return database.maybe<PaceRow>(sql`SELECT ${columns} FROM provider_paces WHERE provider = ${provider}`);
}

/**
 * The next free place, and where the one after it begins. Some calls may go at once, a tenth of the minute's,
 * and the rest so far apart that no minute ever holds more than the limit.
 */
export function placeAfter(
  nextPlace: number,
  earliest: number,
  limit: number | null,
): { place: number; next: number } {
  const burst = limit === null ? 1 : Math.max(1, Math.floor(limit / 10));
  const interval = limit === null ? afterBlock.intervalMs : 60_000 / (limit - burst + 1);
  const begin = Math.max(nextPlace, earliest);
  return { place: Math.max(earliest, begin - (burst - 1) * interval), next: begin + interval };
}

/** Null for recordings, which nobody else calls. */
function providerOf(model: string): string | null {
  const provider = model.slice(0, Math.max(0, model.indexOf('/')));
  return provider === 'recorded' || provider === '' ? null : provider;
}

function iso(time: number): string {
  return new Date(Math.ceil(time)).toISOString();
}
