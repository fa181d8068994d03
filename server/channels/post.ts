const limitMs = 10_000;

export interface PostRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
}

export interface Failure {
  /** False where another try cannot help. */
  again: boolean;
  /** What was answered; null where nothing was. */
  status: number | null;
  /** How long it asked to be left alone. */
  retryAfterMs: number | null;
}

/** A receiver did not take it. The sentence names no address, which may hold a token. */
export class NotDelivered extends Error {
  readonly failure: Failure;
  constructor(message: string, failure: Partial<Failure> & Pick<Failure, 'again'>) {
    super(message);
    this.name = 'NotDelivered';
    this.failure = { status: null, retryAfterMs: null, ...failure };
  }
}

/**
 * Sends once, following no redirect: the address is the one that an admin chose.
 * @returns the status, a success
 * @throws NotDelivered
 */
export async function postOnce(
  { url, headers, body }: PostRequest,
  attempt: { now: number; signal: AbortSignal; fetch: typeof fetch },
): Promise<number> {
  const signal = AbortSignal.any([attempt.signal, AbortSignal.timeout(limitMs)]);
  let response: Response;
  try {
    response = await attempt.fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
    await response.body?.cancel();
  } catch (error) {
    throw new NotDelivered(reasonOf(error), { again: true });
  }
  const { status } = response;
  if (status >= 200 && status < 300) return status;
  if (status >= 300 && status < 400) {
    const reason = `it answered ${status}: redirects are not followed; give the final address`;
    throw new NotDelivered(reason, { again: false, status });
  }
  if (status === 410) {
    throw new NotDelivered('it answered 410: the receiver is gone', { again: false, status });
  }
  const retryAfterMs = readRetryAfter(response.headers.get('retry-after'), attempt.now);
  throw new NotDelivered(`it answered ${status}`, { again: true, status, retryAfterMs });
}

/** Milliseconds from now, of seconds or a date; null where it says nothing that can be used. */
export function readRetryAfter(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${limitMs / 1_000} s`;
  if (error instanceof Error && error.name === 'AbortError') return 'the server is stopping';
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof HostRefused) return at.message;
    if ('code' in at && typeof at.code === 'string') return `the connection failed: ${at.code}`;
  }
  return 'the connection failed';
}

/** Nothing is sent to where a name has led. */
export class HostRefused extends Error {}
