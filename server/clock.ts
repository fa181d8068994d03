/** Time, injected: the system's in production, a virtual one where a whole night must pass in a test. */
export interface Clock {
  /** Wall time in milliseconds since 1970; for timers and identifiers. */
  now(): number;
  /** Monotonic milliseconds; for leases, which must not depend on anybody's wall clock. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, Math.min(ms, 2 ** 31 - 1));
      signal?.addEventListener('abort', finish);
    }),
};
