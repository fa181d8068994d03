import { type LiveText, liveText } from '../../contract/system.ts';
import type { Database } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';

const flushMs = 80;
/** PostgreSQL carries less than 8,000 bytes a notification; escaped JSON may be six times its characters. */
const chunkCharacters = 1_200;

/**
 * Text as a model writes it, for whoever watches: by notification, so that it reaches the other processes,
 * and never in the log. What is lost here is in the step that follows.
 */
export class LiveChannel implements AsyncDisposable {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #buffers = new Map<string, LiveText>();
  readonly #watchers = new Set<(live: LiveText) => void>();
  #timer: NodeJS.Timeout | undefined;
  #listening: AsyncDisposable | undefined;
  #sending: Promise<void> = Promise.resolve();

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
  }

  async start(): Promise<void> {
    this.#listening = await this.#database.listen('live', (payload) => {
      if (payload === '') return;
      const live = liveText.safeParse(JSON.parse(payload));
      if (live.success) for (const watcher of this.#watchers) watcher(live.data);
    });
  }

  write(live: LiveText): void {
    const key = `${live.runId}/${live.seq}`;
    this.#buffers.set(key, { ...live, text: (this.#buffers.get(key)?.text ?? '') + live.text });
    this.#timer ??= setTimeout(() => void this.flush(), flushMs);
  }

  /** Sends what was written so far: before the step that holds the whole text, so that no watcher sees it later. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const payloads = [...this.#buffers.values()].flatMap((live) =>
      chunksOf(live.text).map((text) => JSON.stringify({ ...live, text })),
    );
    this.#buffers.clear();
    if (payloads.length > 0) this.#sending = this.#sending.then(() => this.#send(payloads));
    return this.#sending;
  }

  watch(watcher: (live: LiveText) => void): Disposable {
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => this.#watchers.delete(watcher) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#sending;
    await this.#listening?.[Symbol.asyncDispose]();
  }

  async #send(payloads: string[]): Promise<void> {
    try {
      await this.#database.many(
        sql`SELECT pg_notify('live', payload) FROM unnest(${payloads}::text[]) AS payload`,
      );
    } catch (error) {
      this.#log.debug({ error: messageOf(error) }, 'live text was not sent');
    }
  }
}

function chunksOf(text: string): string[] {
  const chunks: string[] = [];
  for (let start = 0; start < text.length; start += chunkCharacters)
    chunks.push(text.slice(start, start + chunkCharacters));
  return chunks;
}
