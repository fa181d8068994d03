import { appendFile, readFile } from 'node:fs/promises';
import { type ChainPlace, chainPlaceText, readChainPlace, writeChainPlace } from '../../contract/audit.ts';
import type { Clock } from '../clock.ts';
import type { Database } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { readChainHead } from './verify.ts';

const intervalMs = 5 * 60_000;
const lastWaitMs = 500;

/**
 * Places of the chain, written down outside of the database, one line each with its time: whoever can change the
 * database and computes the chain anew, or cuts off its tail, does not fit what stands here. Written every five
 * minutes in which something happened, and at each start and stop. Copy the newest line elsewhere to be safe from
 * somebody who can change this machine's files too.
 */
export class ChainAnchors implements AsyncDisposable {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #file: string;
  readonly #stop = new AbortController();
  #newest = 0;
  #done: Promise<void> | undefined;

  constructor(options: { database: Database; clock: Clock; log: Logger; file: string }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#file = options.file;
  }

  async start(): Promise<void> {
    this.#newest = Math.max(0, ...(await this.read()).map(({ sequence }) => sequence));
    const fault = await this.findFault();
    if (fault !== null) this.#log.error({ file: this.#file }, fault);
    this.#done = this.#keep();
  }

  /** Lines that are none, as one that a crash cut, say nothing. */
  async read(): Promise<ChainPlace[]> {
    const text = await readIfThere(this.#file);
    return text.split('\n').flatMap((line) => {
      const place = line.split(' ')[1] ?? '';
      return chainPlaceText.safeParse(place).success ? [readChainPlace(place)] : [];
    });
  }

  /** Holds the newest line against the log, at no cost; a sentence where they do not fit. */
  async findFault(): Promise<string | null> {
    const newest = (await this.read()).at(-1);
    if (newest === undefined || newest.sequence === 0) return null;
    const row = await this.#database.maybe<{ hash: string }>(
      sql`SELECT hash FROM events WHERE sequence = ${newest.sequence}`,
    );
    if (row?.hash === newest.hash) return null;
    const what = row === undefined ? 'ends before' : 'is another at';
    return `the log ${what} event ${newest.sequence}, which ${this.#file} names: it was tampered with, or an older backup was restored; run: mission audit verify`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#write();
      await this.#clock.sleep(intervalMs, signal);
    }
    await this.#awaitNumbers();
    await this.#write();
  }

  /** What was told last has its number in a moment. */
  async #awaitNumbers(): Promise<void> {
    try {
      for (let waited = 0; waited < lastWaitMs; waited += 20) {
        const left = await this.#database.maybe(sql`SELECT 1 AS left FROM event_outbox LIMIT 1`);
        if (left === undefined) return;
        await this.#clock.sleep(20);
      }
    } catch (error) {
      this.#log.debug({ error: messageOf(error) }, 'the outbox cannot be read now');
    }
  }

  async #write(): Promise<void> {
    try {
      const head = await readChainHead(this.#database);
      // After a restored backup the newest line stays the highest: what was lost is to be seen.
      if (head.sequence <= this.#newest) return;
      const time = new Date(this.#clock.now()).toISOString();
      await appendFile(this.#file, `${time} ${writeChainPlace(head)}\n`, { mode: 0o600 });
      this.#newest = head.sequence;
    } catch (error) {
      this.#log.warn({ error: messageOf(error) }, "the chain's newest place could not be written down");
    }
  }
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}
