import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Order, Report } from './subscriber-process.ts';

const processes = 2;

/** Subscribers in processes of their own, in groups that are counted apart. */
export class Subscribers implements AsyncDisposable {
  readonly #children: ChildProcess[] = Array.from({ length: processes }, () =>
    fork(join(import.meta.dirname, 'subscriber-process.ts')),
  );

  async open(group: string, count: number, url: string, key: string): Promise<void> {
    await this.#order({ kind: 'open', group, count: Math.ceil(count / processes), url, key });
  }

  /** What came since the last report. */
  async report(group: string): Promise<Report> {
    const reports = await this.#order({ kind: 'report', group });
    return {
      group,
      received: reports.reduce((sum, one) => sum + one.received, 0),
      lost: reports.reduce((sum, one) => sum + one.lost, 0),
      closed: reports.reduce((sum, one) => sum + one.closed, 0),
      ages: reports.flatMap(({ ages }) => ages),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }),
    );
  }

  #order(order: Order): Promise<Report[]> {
    return Promise.all(
      this.#children.map(async (child) => {
        const answer = once(child, 'message');
        child.send(order);
        const [report] = (await answer) as [Report];
        return report;
      }),
    );
  }
}
