import type { ChainFault, ChainPlace } from '../../contract/audit.ts';
import type { Queryable } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { chainHash, genesisHash } from './chain.ts';
import type { EventRow } from './read.ts';

const pageSize = 1_000;
export const genesis: ChainPlace = { sequence: 0, hash: genesisHash };

/** The newest place of the chain. */
export async function readChainHead(database: Queryable): Promise<ChainPlace> {
  const row = await database.maybe<ChainPlace>(
    sql`SELECT sequence, hash FROM events ORDER BY sequence DESC LIMIT 1`,
  );
  return row ?? genesis;
}

export interface Walk {
  /** Up to here everything holds. */
  place: ChainPlace;
  /** What is wrong right behind it. */
  fault: ChainFault | null;
  /** Nothing comes after it. */
  ended: boolean;
}

/**
 * Walks the chain from a place that is known to hold, over at most `limit` events.
 * @param anchors places that were written down outside of the database: at each of those that it passes or that
 *   lie behind the log's end, the chain must have been the same
 */
export async function walkChain(
  database: Queryable,
  from: ChainPlace,
  limit: number,
  anchors: readonly ChainPlace[] = [],
): Promise<Walk> {
  const known = new Map(anchors.map(({ sequence, hash }) => [sequence, hash]));
  let place = from;
  for (let left = limit; left > 0; ) {
    const rows = await database.many<EventRow>(
      sql`SELECT * FROM events WHERE sequence > ${place.sequence} ORDER BY sequence LIMIT ${Math.min(left, pageSize)}`,
    );
    if (rows.length === 0) return { place, fault: findCut(place, anchors), ended: true };
    for (const row of rows) {
      const fault = judgeLink(place, row) ?? judgeAnchor(row, known.get(row.sequence));
      if (fault !== null) return { place, fault, ended: true };
      place = { sequence: row.sequence, hash: row.hash };
    }
    left -= rows.length;
  }
  return { place, fault: null, ended: false };
}

/** Walks all of the chain. Returns the first number at which it does not hold, or null where it holds throughout. */
export async function findBrokenLink(database: Queryable): Promise<number | null> {
  const { fault } = await walkChain(database, genesis, Number.MAX_SAFE_INTEGER);
  return fault?.sequence ?? null;
}

function judgeLink(place: ChainPlace, row: EventRow): ChainFault | null {
  const sequence = place.sequence + 1;
  if (row.sequence !== sequence) return { kind: 'removed', sequence, until: row.sequence - 1 };
  if (row.hash !== chainHash(place.hash, row)) return { kind: 'changed', sequence, until: sequence };
  return null;
}

/** A chain that was computed anew from some place on holds in itself; what was written down outside does not fit. */
function judgeAnchor({ sequence, hash }: EventRow, known: string | undefined): ChainFault | null {
  return known === undefined || known === hash ? null : { kind: 'rewritten', sequence, until: sequence };
}

function findCut(end: ChainPlace, anchors: readonly ChainPlace[]): ChainFault | null {
  const until = Math.max(0, ...anchors.map(({ sequence }) => sequence));
  return until > end.sequence ? { kind: 'cut', sequence: end.sequence + 1, until } : null;
}
