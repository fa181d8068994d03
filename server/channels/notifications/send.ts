import type { NotificationBody } from '../../../contract/notifications.ts';
import type { NotificationMessage } from '../../domain/notifications/messages.ts';
import { writeRequest } from './requests.ts';

const limitMs = 10_000;

/** A receiver did not take it. The sentence names no address, which may hold a token. */
export class NotDelivered extends Error {
  /** False where another try cannot help. */
  readonly again: boolean;
  constructor(message: string, again: boolean) {
    super(message);
    this.name = 'NotDelivered';
    this.again = again;
  }
}

/** Sends once, following no redirect: the address is the one that an admin chose. @throws NotDelivered */
export async function sendNotification(
  target: NotificationBody,
  message: NotificationMessage,
  attempt: { id: string; now: number; signal: AbortSignal; fetch: typeof fetch },
): Promise<void> {
  const { url, headers, body } = writeRequest(target, message, attempt);
  const signal = AbortSignal.any([attempt.signal, AbortSignal.timeout(limitMs)]);
  let response: Response;
  try {
    response = await attempt.fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
    await response.body?.cancel();
  } catch (error) {
    throw new NotDelivered(reasonOf(error), true);
  }
  const { status } = response;
  if (status >= 200 && status < 300) return;
  if (status >= 300 && status < 400) {
    throw new NotDelivered(
      `it answered ${status}: redirects are not followed; give the final address`,
      false,
    );
  }
  if (status === 410) throw new NotDelivered('it answered 410: the receiver is gone', false);
  throw new NotDelivered(`it answered ${status}`, true);
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${limitMs / 1_000} s`;
  if (error instanceof Error && error.name === 'AbortError') return 'the server is stopping';
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return `the connection failed: ${at.code}`;
  }
  return 'the connection failed';
}
