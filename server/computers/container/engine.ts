import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { AppError, messageOf } from '../../errors.ts';

/** One answer of the engine; creating and starting take long on a machine with much to do. */
const answerLimitMs = 60_000;

/** @param socketPath of the engine's API */
export function openEngine(socketPath: string): Docker {
  return new Docker({ socketPath });
}

/**
 * One call of the engine's API, within its time.
 * @throws AppError `sandbox_unavailable` where the engine does not answer; its own refusals as they come
 */
export async function callEngine<T>(doing: string, call: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(
      new AppError('sandbox_unavailable', `the container engine did not answer while ${doing}: restart it`),
    );
  }, answerLimitMs);
  try {
    return await Promise.race([call, late.promise]);
  } catch (error) {
    if (error instanceof AppError || statusOf(error) !== undefined) throw error;
    throw new AppError(
      'sandbox_unavailable',
      `the container engine could not be reached while ${doing}: ${messageOf(error)}`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** The engine's refusal by its HTTP status; undefined for everything else. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;
}

/** As `call`, where the answer "it is not there" or "it has ended" is as good. */
export async function unlessGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    const status = statusOf(error);
    if (status === 404 || status === 409) return undefined;
    throw error;
  }
}

/**
 * Ends and removes a container; when this settles nothing in it runs any more.
 * @throws AppError `sandbox_unavailable` where it is still there after its time
 */
export async function removeContainer(engine: Docker, id: string): Promise<void> {
  const container = engine.getContainer(id);
  const deadline = performance.now() + answerLimitMs;
  do {
    try {
      await callEngine('removing a container', container.remove({ force: true, v: true }));
      return;
    } catch (error) {
      const status = statusOf(error);
      if (status === 404) return;
      // Somebody else removes it already.
      if (status !== 409) throw error;
    }
    await delay(50);
  } while (performance.now() < deadline);
  throw new AppError('sandbox_unavailable', `the container ${id} cannot be removed: restart the engine`);
}
