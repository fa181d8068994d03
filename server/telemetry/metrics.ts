import type { CommandResult, Sandbox } from '../computers/sandbox.ts';
import type { Database } from '../database/database.ts';
import type { EventFeed } from '../events/feed.ts';
import type { Logger } from '../log.ts';
import type { Registered } from './registered.ts';
import { withRun } from './with-run.ts';

export interface MetricsOptions {
  database: Database;
  feed: EventFeed;
  log: Logger;
  home: string;
  version: string;
  /** Open answers of this process: WebSockets and server-sent events. */
  subscribers: () => number;
  now: () => number;
}

/**
 * What is measured, in the format of Prometheus. What this process does itself is counted as it happens; how things
 * stand is asked of the database at a scrape, with a bounded cost; what happened is counted from the log, which every
 * process hears whole, so such figures are alike in all of them and are not to be added up. All of it begins with the
 * first scrape: where nobody scrapes, nothing is loaded, followed or asked.
 */
export class Metrics implements AsyncDisposable {
  readonly #options: MetricsOptions;
  #beginning: Promise<Registered> | undefined;
  #registered: Registered | undefined;

  constructor(options: MetricsOptions) {
    this.#options = options;
  }

  /** @param request `seconds` until the answer had gone out */
  countRequest(request: { method: string; route: string; status: number; seconds: number }): void {
    this.#registered?.countRequest(request);
  }

  countProblem(code: string): void {
    this.#registered?.countProblem(code);
  }

  /** The same sandbox, its commands counted. */
  watchSandbox(sandbox: Sandbox): Sandbox {
    const run: Sandbox['run'] = async (command, signal) => {
      try {
        const result = await sandbox.run(command, signal);
        this.#registered?.countCommand(endOf(result));
        return result;
      } catch (error) {
        this.#registered?.countCommand(signal.aborted ? 'aborted' : 'refused');
        throw error;
      }
    };
    return withRun(sandbox, run);
  }

  /** All of it as text. Answers without the database too, and says then that it is away. */
  async scrape(): Promise<{ type: string; text: string }> {
    this.#beginning ??= this.#begin();
    return (await this.#beginning).scrape();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#beginning)?.[Symbol.asyncDispose]();
  }

  async #begin(): Promise<Registered> {
    const { Registered } = await import('./registered.ts');
    this.#registered = new Registered(this.#options);
    return this.#registered;
  }
}

function endOf({ exitCode, timedOut, outOfMemory }: CommandResult): string {
  if (timedOut) return 'timed_out';
  if (outOfMemory) return 'out_of_memory';
  return exitCode === 0 ? 'succeeded' : 'failed';
}
