import type { Database } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';

/** What a run belongs to; it never changes. */
export interface RunPlace {
  taskId: string | null;
  projectId: string | null;
}

const mostKept = 5_000;

/** Where runs belong, for what is decided many times a second about live text. */
export class RunPlaces {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #known = new Map<string, RunPlace>();
  readonly #asked = new Map<string, Promise<void>>();

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
  }

  /** Undefined while it is being looked up: who asks drops what it is about. */
  find(runId: string): RunPlace | undefined {
    const known = this.#known.get(runId);
    if (known === undefined && !this.#asked.has(runId)) this.#asked.set(runId, this.#look(runId));
    return known;
  }

  async #look(runId: string): Promise<void> {
    try {
      const row = await this.#database.maybe<RunPlace>(
        sql`SELECT runs.task_id AS "taskId", tasks.project_id AS "projectId"
            FROM runs LEFT JOIN tasks ON tasks.id = runs.task_id WHERE runs.id = ${runId}`,
      );
      if (row === undefined) return;
      const [oldest] = this.#known.keys();
      if (this.#known.size >= mostKept && oldest !== undefined) this.#known.delete(oldest);
      this.#known.set(runId, row);
    } catch (error) {
      this.#log.debug({ error: messageOf(error) }, 'a run cannot be looked up now');
    } finally {
      this.#asked.delete(runId);
    }
  }
}
