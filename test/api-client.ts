import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { askView } from '../contract/asks.ts';
import { changeView } from '../contract/changes.ts';
import { type CloudEvent, cloudEvent } from '../contract/events.ts';
import { runView } from '../contract/runs.ts';
import type { Step } from '../contract/steps.ts';
import { connectionFile, problem } from '../contract/system.ts';
import { type CreateTaskBody, createdTask, taskView } from '../contract/tasks.ts';

const requestLimitMs = 35_000;

/** A refusal of the API, by its code. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, detail: string) {
    super(`${status} ${code}: ${detail}`);
    this.name = 'Refused';
    this.status = status;
    this.code = code;
  }
}

/** The HTTP API of the server at a home; the address is read each time, since a restart changes it. */
export class ApiClient {
  readonly #home: string;

  constructor(home: string) {
    this.#home = home;
  }

  async createTask(body: CreateTaskBody) {
    return this.#request('POST', '/tasks', createdTask, body);
  }

  async tasks() {
    return (await this.#request('GET', '/tasks', listOf(taskView))).items;
  }

  async task(id: string) {
    return this.#request('GET', `/tasks/${id}`, taskView);
  }

  async run(id: string) {
    return this.#request('GET', `/runs/${id}`, runView);
  }

  async runs(task: string) {
    return (await this.#request('GET', `/runs?task=${task}`, listOf(runView))).items;
  }

  /** Asks a run to pause, to resume or to stop. */
  async control(runId: string, verb: 'pause' | 'resume' | 'stop') {
    return this.#request('POST', `/runs/${runId}/${verb}`, runView);
  }

  async say(runId: string, text: string) {
    await this.#request('POST', `/runs/${runId}/say`, z.unknown(), { text });
  }

  async steps(runId: string): Promise<Step[]> {
    const path = `/runs/${runId}/steps?limit=200`;
    return (await this.#request('GET', path, listOf(z.custom<Step>()))).items;
  }

  async asks(status?: 'open') {
    return (await this.#request('GET', `/asks${status ? `?status=${status}` : ''}`, listOf(askView))).items;
  }

  async decide(askId: string, decision: 'approve' | 'deny' | 'answer', answer: string) {
    return this.#request('POST', `/asks/${askId}/decide`, askView, { decision, answer });
  }

  async changes(task: string) {
    return (await this.#request('GET', `/changes?task=${task}`, listOf(changeView))).items;
  }

  async merge(changeId: string) {
    return this.#request('POST', `/changes/${changeId}/merge`, z.unknown(), {});
  }

  /** The log from its beginning and on, until the signal aborts or the server ends. */
  async *events(signal: AbortSignal): AsyncGenerator<CloudEvent> {
    const response = await this.#send('GET', '/events/stream?after=0', undefined, signal);
    if (!response.ok || response.body === null) throw await refusalOf(response);
    let rest = '';
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      const messages = `${rest}${text}`.split('\n\n');
      rest = messages.pop() ?? '';
      for (const message of messages) {
        const event = readMessage(message);
        if (event !== null) yield event;
      }
    }
    throw new Error('the event stream ended');
  }

  /** What stands on the log now: one page, more than a test writes. */
  async eventsUntilNow(): Promise<CloudEvent[]> {
    return (await this.#request('GET', '/events?limit=1000', listOf(cloudEvent))).items;
  }

  /** The first event of the log, from its beginning, that fits. */
  async awaitEvent(fits: (event: CloudEvent) => boolean, limitMs = 60_000): Promise<CloudEvent> {
    const seen: string[] = [];
    try {
      for await (const event of this.events(AbortSignal.timeout(limitMs))) {
        if (fits(event)) return event;
        seen.push(event.type);
      }
    } catch (error) {
      throw new Error(`the awaited event did not come; the last were ${seen.slice(-12).join(', ')}`, {
        cause: error,
      });
    }
    throw new Error('an event stream does not end by itself');
  }

  /** The run's end, whichever it is. */
  async awaitEnd(runId: string, limitMs = 90_000) {
    const ends = ['run.succeeded', 'run.failed', 'run.stopped'];
    await this.awaitEvent((event) => event.runid === runId && ends.includes(event.type), limitMs);
    return this.run(runId);
  }

  /** Where the server is, and the key of this machine's owner. */
  async connection(): Promise<{ url: string; key: string }> {
    return connectionFile.parse(JSON.parse(await readFile(join(this.#home, 'cli.json'), 'utf8')));
  }

  async #request<T>(method: string, path: string, schema: z.ZodType<T>, body?: unknown): Promise<T> {
    const response = await this.#send(method, path, body, AbortSignal.timeout(requestLimitMs));
    if (!response.ok) throw await refusalOf(response);
    return schema.parse(await response.json());
  }

  async #send(method: string, path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    const { url, key } = await this.connection();
    const address = new URL(`/api/v1${path}`, url);
    const authorization = `Bearer ${key}`;
    if (body !== undefined) {
      const headers = { authorization, 'content-type': 'application/json' };
      return fetch(address, { method, signal, headers, body: JSON.stringify(body) });
    }
    for (;;) {
      const response = await fetch(address, { method, signal, headers: { authorization } });
      // The database is away for a moment; what has no body can be asked again.
      if (response.status !== 503) return response;
      await response.body?.cancel();
      await delay(50, undefined, { signal });
    }
  }
}

const listOf = <T>(item: z.ZodType<T>) => z.object({ items: z.array(item) });

/** Null for what is not of the log: greetings and live text. */
function readMessage(message: string): CloudEvent | null {
  const lines = message.split('\n');
  const data = lines.find((line) => line.startsWith('data: '));
  if (data === undefined || lines.includes('event: live')) return null;
  return cloudEvent.parse(JSON.parse(data.slice('data: '.length)));
}

async function refusalOf(response: Response): Promise<Refused> {
  const text = await response.text();
  const parsed = problem.safeParse(text.startsWith('{') ? JSON.parse(text) : undefined);
  return parsed.success
    ? new Refused(response.status, parsed.data.code, parsed.data.detail)
    : new Refused(response.status, 'unknown', text.slice(0, 500));
}
