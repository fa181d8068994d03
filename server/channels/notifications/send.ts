import type { NotificationBody } from '../../../contract/notifications.ts';
import type { NotificationMessage } from '../../domain/notifications/messages.ts';
import { postOnce } from '../post.ts';
import { writeRequest } from './requests.ts';

/** Sends once. @throws NotDelivered */
export async function sendNotification(
  target: NotificationBody,
  message: NotificationMessage,
  attempt: { id: string; now: number; signal: AbortSignal; fetch: typeof fetch },
): Promise<void> {
  await postOnce(writeRequest(target, message, attempt), attempt);
}
