import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Usage } from '../../contract/steps.ts';

/**
 * A server's answer in Anthropic's Messages protocol, before it is sent: the recorded model sends it in
 * process and the test server over HTTP, so that every fault is a fault on the wire.
 */
export interface WireReply {
  status: number;
  headers: Record<string, string>;
  frames: { text: string; delayMs: number }[];
  /** After the last frame: `cut` breaks the connection, `hang` says nothing more and keeps it open. */
  end: 'close' | 'cut' | 'hang';
}

export interface WireAnswer {
  id: string;
  model: string;
  text: string;
  toolCalls: { id: string; name: string; argumentsText: string }[];
  usage: Usage;
  /** How many characters a delta holds, and the wait before each. */
  pace: { chunk: number; delayMs: number };
}

/** Where an answer goes wrong: after so many characters of its text and arguments, in the order they are sent. */
export interface WireFault {
  kind: 'error' | 'cut' | 'hang';
  after: number;
}

export function writeError(
  status: number,
  type: string,
  message: string,
  headers: Record<string, string> = {},
): WireReply {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    frames: [{ text: JSON.stringify({ type: 'error', error: { type, message } }), delayMs: 0 }],
    end: 'close',
  };
}

export function writeAnswer(answer: WireAnswer, fault?: WireFault): WireReply {
  const events = fault ? breakOff(eventsOf(answer), fault) : eventsOf(answer);
  const frames = events.map((event) => ({
    text: `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
    delayMs: event.type === 'content_block_delta' ? answer.pace.delayMs : 0,
  }));
  if (fault?.kind === 'cut')
    frames.push({ text: 'event: content_block_delta\ndata: {"type":"co', delayMs: 0 });
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream; charset=utf-8' },
    frames,
    end: fault === undefined || fault.kind === 'error' ? 'close' : fault.kind,
  };
}

/** The connection broke: what a reader of the frames sees where a reply ends in `cut`. */
export class ConnectionCut extends Error {}

/** A reply's frames at their pace, then its end. Throws the signal's reason when aborted, ConnectionCut for a cut. */
export async function* sendFrames(reply: WireReply, signal: AbortSignal): AsyncGenerator<string, void> {
  for (const frame of reply.frames) {
    if (frame.delayMs > 0) await pause(frame.delayMs, undefined, { signal });
    signal.throwIfAborted();
    yield frame.text;
  }
  if (reply.end === 'cut') throw new ConnectionCut('other side closed');
  if (reply.end === 'hang') {
    if (!signal.aborted) await once(signal, 'abort');
    throw signal.reason;
  }
}

type Delta = { type: 'text_delta'; text: string } | { type: 'input_json_delta'; partial_json: string };
type WireEvent =
  | { type: 'message_start'; message: Record<string, unknown> }
  | { type: 'content_block_start'; index: number; content_block: Record<string, unknown> }
  | { type: 'content_block_delta'; index: number; delta: Delta }
  | { type: 'content_block_stop'; index: number }
  | { type: 'message_delta'; delta: Record<string, unknown>; usage: Record<string, unknown> }
  | { type: 'message_stop' }
  | { type: 'error'; error: { type: string; message: string } };

function eventsOf(answer: WireAnswer): WireEvent[] {
  const { text, toolCalls, pace } = answer;
  const blocks: WireEvent[][] = toolCalls.map(({ id, name, argumentsText }, at) =>
    blockEvents(
      at + (text === '' ? 0 : 1),
      { type: 'tool_use', id, name, input: {} },
      chunksOf(argumentsText, pace.chunk).map((part) => ({ type: 'input_json_delta', partial_json: part })),
    ),
  );
  if (text !== '') {
    const deltas = chunksOf(text, pace.chunk).map((part): Delta => ({ type: 'text_delta', text: part }));
    blocks.unshift(blockEvents(0, { type: 'text', text: '' }, deltas));
  }
  return [messageStart(answer), ...blocks.flat(), messageDelta(answer), { type: 'message_stop' }];
}

function blockEvents(index: number, start: Record<string, unknown>, deltas: Delta[]): WireEvent[] {
  return [
    { type: 'content_block_start', index, content_block: start },
    ...deltas.map((delta): WireEvent => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ];
}

function messageStart({ id, model, usage }: WireAnswer): WireEvent {
  const { input, cachedInput, cacheWrite = 0 } = usage;
  const message = {
    id,
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: {
      input_tokens: input - cachedInput - cacheWrite,
      cache_creation_input_tokens: cacheWrite,
      cache_read_input_tokens: cachedInput,
      output_tokens: 1,
    },
  };
  return { type: 'message_start', message };
}

function messageDelta({ toolCalls, usage }: WireAnswer): WireEvent {
  return {
    type: 'message_delta',
    delta: { stop_reason: toolCalls.length > 0 ? 'tool_use' : 'end_turn', stop_sequence: null },
    usage: { output_tokens: usage.output },
  };
}

/** The events up to the fault. The end events never come, even where the answer is shorter than `after`. */
function breakOff(events: WireEvent[], fault: WireFault): WireEvent[] {
  const sent: WireEvent[] = [];
  let left = fault.after;
  for (const event of events) {
    if (event.type === 'message_delta') break;
    if (event.type === 'content_block_delta') {
      const delta = shorten(event.delta, left);
      if (delta) sent.push({ ...event, delta });
      left -= lengthOf(event.delta);
      if (left <= 0) break;
    } else sent.push(event);
    if (left <= 0) break;
  }
  if (fault.kind === 'error') {
    sent.push({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } });
  }
  return sent;
}

function lengthOf(delta: Delta): number {
  return delta.type === 'text_delta' ? delta.text.length : delta.partial_json.length;
}

function shorten(delta: Delta, length: number): Delta | undefined {
  if (length <= 0) return undefined;
  return delta.type === 'text_delta'
    ? { ...delta, text: delta.text.slice(0, length) }
    : { ...delta, partial_json: delta.partial_json.slice(0, length) };
}

function chunksOf(text: string, size: number): string[] {
  const characters = [...text];
  return Array.from({ length: Math.ceil(characters.length / size) }, (_, at) =>
    characters.slice(at * size, (at + 1) * size).join(''),
  );
}
