/** A level that callers raise and one waiter lowers: a raise while nobody waits is not lost. */
export class Signal {
  #raised = false;
  #wake: (() => void) | undefined;

  raise(): void {
    this.#raised = true;
    this.#wake?.();
  }

  /** Resolves when raised, after `ms`, or when `signal` aborts, whichever is first; lowers the level. */
  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    if (!this.#raised && !signal?.aborted) {
      await new Promise<void>((resolve) => {
        const finish = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', finish);
          this.#wake = undefined;
          resolve();
        };
        const timer = setTimeout(finish, Math.min(Math.max(ms, 0), 2 ** 31 - 1));
        signal?.addEventListener('abort', finish);
        this.#wake = finish;
      });
    }
    this.#raised = false;
  }
}
