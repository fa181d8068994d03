import type { CloudEvent } from '../../contract/events.ts';

/** An event with its JSON, made once for everybody who is sent it. */
export interface LogEntry {
  readonly event: CloudEvent;
  readonly json: string;
}

export function entryOf(event: CloudEvent): LogEntry {
  return { event, json: JSON.stringify(event) };
}

/**
 * The newest part of the log, in memory, for all who follow it at its end: every event after `start` up to `end`,
 * bounded by number and size.
 */
export class Tail {
  readonly #most: { entries: number; characters: number };
  #entries: LogEntry[] = [];
  #characters = 0;
  #start: number;
  #end: number;

  /** @param place the number of the newest event; what comes after it is held */
  constructor(place: number, most: { entries: number; characters: number }) {
    this.#start = place;
    this.#end = place;
    this.#most = most;
  }

  get end(): number {
    return this.#end;
  }

  /** Whether all that comes after this number is here. */
  covers(after: number): boolean {
    return after >= this.#start;
  }

  /** The next entries after this number, at most so many; of a number that it covers. */
  after(place: number, limit: number): readonly LogEntry[] {
    // The log is dense, so that the place in it is the place in the list.
    const first = Math.max(0, place - this.#start);
    return this.#entries.slice(first, first + limit);
  }

  /** @param entries the next ones of the log after `end`, none left out */
  append(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#characters += entry.json.length;
      this.#end = entry.event.sequence;
    }
    let gone = 0;
    const { entries: mostEntries, characters: mostCharacters } = this.#most;
    while (this.#entries.length - gone > mostEntries || this.#characters > mostCharacters) {
      const oldest = this.#entries[gone];
      if (oldest === undefined) break;
      this.#characters -= oldest.json.length;
      this.#start = oldest.event.sequence;
      gone += 1;
    }
    if (gone > 0) this.#entries = this.#entries.slice(gone);
  }
}
