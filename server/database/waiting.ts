import { systemClock } from '../clock.ts';

/**
 * The promise's outcome, if it comes in time. The promise itself is not ended by the limit; its later failure is
 * nobody's any more.
 * @throws Error when the limit passed or the signal aborted first
 */
export async function within<T>(ms: number, promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(() => limit.reject(new Error(`no answer within ${ms} ms`)), ms);
  const onAbort = () => limit.reject(new Error('it is being closed'));
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort);
  try {
    return await Promise.race([promise, limit.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Between half of `ms` and `ms`, so that many that wait for one thing do not come back at one moment. */
export async function sleepJittered(ms: number, signal?: AbortSignal): Promise<void> {
  await systemClock.sleep(ms * (0.5 + Math.random() / 2), signal);
}

/** Asks until the answer is not undefined. @returns undefined when the limit passed or the signal aborted */
export async function poll<T>(
  limitMs: number,
  everyMs: number,
  ask: () => T | undefined | Promise<T | undefined>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  const end = systemClock.monotonic() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (signal?.aborted || systemClock.monotonic() >= end) return undefined;
    await systemClock.sleep(everyMs, signal);
  }
}
