import { z } from 'zod';
import type { CloudEvent } from '../../../contract/events.ts';
import type { Clock } from '../../clock.ts';
import type { Database } from '../../database/database.ts';
import type { Actor } from '../../domain/actor.ts';
import type { Vault } from '../../domain/credentials/vault.ts';
import {
  type Attempt,
  enqueueWebhooks,
  findOpenWebhookDelivery,
  isSent,
  type OpenWebhookDelivery,
  readWebhookCursor,
  recordWebhookAttempt,
} from '../../domain/webhooks/deliveries.ts';
import {
  getWebhook,
  openWebhook,
  readSubscriptions,
  type Subscription,
} from '../../domain/webhooks/webhooks.ts';
import { AppError } from '../../errors.ts';
import type { EventFeed } from '../../events/feed.ts';
import { newId } from '../../ids.ts';
import type { Logger } from '../../log.ts';
import { inTrace, readTraceparent } from '../../trace-context.ts';
import { followLog } from '../follow-log.ts';
import { NotDelivered, postOnce } from '../post.ts';
import { signWebhook } from '../standard-webhooks.ts';

export interface WebhookDispatcherOptions {
  database: Database;
  feed: EventFeed;
  clock: Clock;
  log: Logger;
  vault: Vault;
  /** Refuses what may not be sent to. */
  fetch: typeof fetch;
  random: () => number;
}

const payloadSchema = z.object({ delivery: z.string() });

/**
 * Sends events to the webhooks that want them: at least once, under one id, each try signed anew. It follows the
 * log from a durable cursor and turns events into deliveries, each a job; a try that a crash cut off is made again.
 */
export class WebhookDispatcher implements AsyncDisposable {
  readonly #options: WebhookDispatcherOptions;
  readonly #stop = new AbortController();
  /** Of the newest read; an event about a webhook renews it. */
  #subscriptions: readonly Subscription[] | undefined;
  #done: Promise<void> | undefined;

  constructor(options: WebhookDispatcherOptions) {
    this.#options = options;
  }

  /** Follows the log from now on; deliveries and tests need no start. */
  start(): void {
    const { database } = this.#options;
    this.#done ??= followLog({
      ...this.#options,
      signal: this.#stop.signal,
      name: 'webhooks',
      readCursor: async () => {
        this.#subscriptions = await readSubscriptions(database);
        return readWebhookCursor(database);
      },
      isWanted: (event) =>
        event.type.startsWith('webhook.') || (this.#subscriptions ?? []).some((one) => isSent(event, one)),
      enqueue: async (events) => {
        this.#subscriptions = await enqueueWebhooks(database, events);
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  /** The handler of the job `webhook.deliver`. */
  deliver = async (payload: unknown, job: { signal: AbortSignal }): Promise<void> => {
    const { database } = this.#options;
    const delivery = await findOpenWebhookDelivery(database, payloadSchema.parse(payload).delivery);
    if (delivery === undefined) return;
    const place = readTraceparent(delivery.traceParent);
    await (place === null
      ? this.#attempt(delivery, job)
      : inTrace(place, () => this.#attempt(delivery, job)));
  };

  async #attempt(delivery: OpenWebhookDelivery, job: { signal: AbortSignal }): Promise<void> {
    const { database, clock, log, random } = this.#options;
    const attempt: Attempt = delivery.isActive
      ? await this.#try(delivery.webhook, delivery.event, { id: delivery.id, signal: job.signal })
      : failed(new NotDelivered('the webhook is disabled', { again: false }));
    // Cut off by our own stop: the job is there for the next start, and this was no try.
    if (job.signal.aborted && !attempt.taken) throw new Error('the server is stopping');
    const status = await recordWebhookAttempt(
      { database, now: () => clock.now(), random },
      delivery,
      attempt,
    );
    if (attempt.taken) return;
    const fields = { webhook: delivery.webhook, delivery: delivery.id, reason: attempt.error };
    log.warn(
      fields,
      status === 'waiting' ? 'a webhook is tried again later' : 'a webhook delivery was given up',
    );
  }

  /** Sends a test at once. @throws AppError not_found, unprocessable with what the receiver answered */
  async test(actor: Actor, id: string): Promise<{ delivered: true; host: string }> {
    const { database, clock } = this.#options;
    const { host } = await getWebhook(database, actor, id);
    const event: CloudEvent = {
      specversion: '1.0',
      id: newId('evt'),
      source: '/mission-control',
      type: 'webhook.tested',
      subject: `webhook/${id}`,
      time: new Date(clock.now()).toISOString(),
      // It stands on no log; a receiver that keeps order may put it at the beginning.
      sequence: 1,
      actor: actor.name,
      data: {},
    };
    const attempt = await this.#try(id, event, { id: newId('msg'), signal: this.#stop.signal });
    if (attempt.taken) return { delivered: true, host };
    throw new AppError(
      'unprocessable',
      `${host} did not take the test: ${attempt.error}. Look at its address and secret.`,
    );
  }

  async #try(
    webhook: string,
    event: CloudEvent,
    { id, signal }: { id: string; signal: AbortSignal },
  ): Promise<Attempt> {
    const { clock, fetch } = this.#options;
    const now = clock.now();
    try {
      const { url, secrets } = await openWebhook({ ...this.#options, now: () => now }, webhook);
      const body = JSON.stringify(event);
      const headers = {
        'content-type': 'application/cloudevents+json; charset=utf-8',
        'user-agent': 'mission-control',
        ...signWebhook(body, secrets, { id, now }),
      };
      return { taken: true, httpStatus: await postOnce({ url, headers, body }, { now, signal, fetch }) };
    } catch (error) {
      if (error instanceof NotDelivered) return failed(error);
      // Such as a secret whose key is not here: another try may find it.
      if (error instanceof AppError && error.code !== 'not_found')
        return failed(new NotDelivered(error.message, { again: true }));
      throw error;
    }
  }
}

function failed({ message, failure }: NotDelivered): Attempt {
  const { again, status, retryAfterMs } = failure;
  return { taken: false, httpStatus: status, error: message, again, retryAfterMs, gone: status === 410 };
}
