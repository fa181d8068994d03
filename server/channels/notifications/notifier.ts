import { z } from 'zod';
import type { CloudEvent } from '../../../contract/events.ts';
import type { NotificationTopic } from '../../../contract/notifications.ts';
import type { Clock } from '../../clock.ts';
import type { Database } from '../../database/database.ts';
import type { Actor } from '../../domain/actor.ts';
import {
  enqueueDeliveries,
  findOpenDelivery,
  readCursor,
  recordAttempt,
} from '../../domain/notifications/deliveries.ts';
import { type NotificationMessage, topicOf } from '../../domain/notifications/messages.ts';
import {
  getNotification,
  type NotificationSettings,
  openNotification,
} from '../../domain/notifications/settings.ts';
import { AppError } from '../../errors.ts';
import type { EventFeed } from '../../events/feed.ts';
import { newId } from '../../ids.ts';
import type { Logger } from '../../log.ts';
import { followLog } from '../follow-log.ts';
import { NotDelivered } from '../post.ts';
import { sendNotification } from './send.ts';

export interface NotifierOptions {
  database: Database;
  feed: EventFeed;
  clock: Clock;
  log: Logger;
  settings: NotificationSettings;
  /** How requests leave this machine: through a proxy where one is set. */
  fetch: typeof fetch;
  /** Where people open the dashboard, without a slash at its end. */
  publicUrl: () => string | null;
}

const payloadSchema = z.object({ delivery: z.string() });

/**
 * Tells people outside of the product. It follows the log from a durable cursor and turns events into
 * deliveries, each a job. A delivery that a crash cut off is sent again under the same `webhook-id`: at least
 * once, and once wherever the process lives on.
 */
export class Notifier implements AsyncDisposable {
  readonly #options: NotifierOptions;
  readonly #stop = new AbortController();
  #done: Promise<void> | undefined;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Follows the log from now on; deliveries and tests need no start. */
  start(): void {
    const { database, settings, publicUrl } = this.#options;
    this.#done ??= followLog({
      ...this.#options,
      signal: this.#stop.signal,
      name: 'notifications',
      readCursor: () => readCursor(database),
      isWanted: (event) => topicOf(event.type) !== undefined,
      enqueue: (events) => enqueueDeliveries(database, settings, events, publicUrl()),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  /** The handler of the job `notification.deliver`. */
  deliver = async (payload: unknown, attempt: { last: boolean; signal: AbortSignal }): Promise<void> => {
    const { database, clock, log, settings } = this.#options;
    const delivery = await findOpenDelivery(database, payloadSchema.parse(payload).delivery);
    if (delivery === undefined) return;
    try {
      const target = await openNotification(database, settings, delivery.notification);
      if (target === undefined) throw new NotDelivered('the notification was removed', { again: false });
      const { signal } = attempt;
      await sendNotification(target, delivery.message, {
        id: delivery.id,
        now: clock.now(),
        signal,
        fetch: this.#options.fetch,
      });
    } catch (error) {
      if (attempt.signal.aborted) throw error;
      const again = error instanceof NotDelivered && error.failure.again && !attempt.last;
      const reason =
        error instanceof NotDelivered || error instanceof AppError ? error.message : 'an error of ours';
      const fields = { notification: delivery.notification, delivery: delivery.id, reason };
      await recordAttempt(database, delivery, { status: again ? 'waiting' : 'dead', error: reason });
      log.warn(fields, again ? 'a notification is tried again later' : 'a notification was given up');
      if (again) throw error;
      return;
    }
    await recordAttempt(database, delivery, { status: 'delivered', error: null });
  };

  /** Sends a test at once. @throws AppError forbidden, not_found, unprocessable with what the receiver answered */
  async test(actor: Actor, name: string): Promise<{ delivered: true; host: string }> {
    const { database, clock, settings } = this.#options;
    if (actor.role !== 'admin' && actor.role !== 'operator')
      throw new AppError('forbidden', 'only operators and admins test notifications');
    const { host } = await getNotification(database, settings, name);
    const target = await openNotification(database, settings, name);
    if (target === undefined) throw new AppError('not_found', `there is no notification ${name}`);
    const attempt = {
      id: newId('dlv'),
      now: clock.now(),
      signal: this.#stop.signal,
      fetch: this.#options.fetch,
    };
    try {
      await sendNotification(target, testMessage(name, attempt, this.#options.publicUrl()), attempt);
    } catch (error) {
      if (!(error instanceof NotDelivered)) throw error;
      throw new AppError(
        'unprocessable',
        `${name} at ${host} did not take the test: ${error.message}. Look at its address, secret and token.`,
      );
    }
    return { delivered: true, host };
  }
}

function testMessage(
  name: string,
  { id, now }: { id: string; now: number },
  publicUrl: string | null,
): NotificationMessage {
  const topic: NotificationTopic = 'needed';
  const event: CloudEvent = {
    specversion: '1.0',
    id,
    source: '/mission-control',
    type: 'notification.tested',
    subject: `notification/${name}`,
    time: new Date(now).toISOString(),
    // It stands on no log; a receiver that keeps order may put it at the beginning.
    sequence: 1,
    actor: 'control-plane',
    data: {},
  };
  const title = 'Mission Control can reach you';
  return { topic, title, text: `This is a test of the notification ${name}.`, link: publicUrl, event };
}
