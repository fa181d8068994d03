import { createHash } from 'node:crypto';
import type { Usage } from '../../contract/steps.ts';
import { emptyAnswer } from './prompt.ts';
import type { Misbehaviour, RecordedTurn, Recording } from './recording.ts';
import { sendFrames, type WireAnswer, type WireReply, writeAnswer, writeError } from './wire-reply.ts';
import { textOf, type WireBlock, type WireMessage, type WireRequest, wireRequest } from './wire-request.ts';

/** Answers a request's body as Anthropic's service would, from a recording. */
export type Responder = (body: unknown) => WireReply;

/**
 * @param find the recording of a model's name on the wire, which has no `recorded/` before it; what it throws is thrown on
 */
export function openResponder(find: (name: string) => Recording | undefined): Responder {
  const shown = new Map<string, number>();
  return (body) => {
    const parsed = wireRequest.safeParse(body);
    if (!parsed.success) {
      const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim());
      return writeError(400, 'invalid_request_error', problems.join('; '));
    }
    const request = parsed.data;
    const recording = find(request.model);
    if (!recording) return mismatch(`There is no recording of a model named ${request.model}.`);
    const history = readHistory(request.messages);
    const line = recording.turns[history.turn];
    if (!line) {
      const last = recording.turns.length - 1;
      return mismatch(
        `${recording.model} has no turn ${history.turn}, its last is ${last}. ${quote(history.latest)}`,
      );
    }
    const unmet = findUnmet(line, request, history.latest);
    if (unmet) return mismatch(`Turn ${line.turn} of ${recording.model}${unmet}`);
    return reply(line, request, nextMisbehaviour(line, history, shownKey(request, history.turn), shown));
  };
}

/** The responder as a `fetch`, for a provider in this process. */
export function replayFetch(respond: Responder): typeof fetch {
  return async (_input, init) => {
    const signal = init?.signal ?? new AbortController().signal;
    signal.throwIfAborted();
    const reply = respond(JSON.parse(String(init?.body)));
    const body = ReadableStream.from(sendFrames(reply, signal)).pipeThrough(new TextEncoderStream());
    return new Response(body, { status: reply.status, headers: reply.headers });
  };
}

interface History {
  /** The number of recorded answers the request holds. */
  turn: number;
  /** Wrong answers given since the last of them. */
  wrong: number;
  /** What the user's side said since the last of them. */
  latest: string;
}

/** A wrong answer marks its calls, so that it is known in a history as not being a turn. */
const wrongCall = /^toolu_\d+_\d+_wrong\d+$/;

function readHistory(messages: WireMessage[]): History {
  const history: History = { turn: 0, wrong: 0, latest: '' };
  for (const { role, content } of messages) {
    if (role === 'user') history.latest += `${history.latest && '\n'}${textOf(content)}`;
    else if (isWrongAnswer(content)) history.wrong += 1;
    else Object.assign(history, { turn: history.turn + 1, wrong: 0, latest: '' });
  }
  return history;
}

function isWrongAnswer(blocks: WireBlock[]): boolean {
  return blocks.some((part) =>
    part.type === 'tool_use' ? wrongCall.test(part.id) : part.type === 'text' && part.text === emptyAnswer,
  );
}

/** Says, as the end of a sentence, what the turn expects and the request lacks. */
function findUnmet({ expect }: RecordedTurn, request: WireRequest, latest: string): string | undefined {
  const all = [...(request.system ?? []), ...request.messages.flatMap(({ content }) => content)];
  const text = textOf(all);
  const offered = (request.tools ?? []).map(({ name }) => name);
  const phase = expect.phase ? ` (phase ${expect.phase})` : '';
  const missingNow = expect.contains.find((part) => !latest.includes(part));
  if (missingNow) return `${phase} expects "${missingNow}" in the last message. ${quote(latest)}`;
  const missing = [...expect.requestContains, ...(expect.phase ? [expect.phase] : [])].find(
    (part) => !text.includes(part),
  );
  if (missing) return `${phase} expects "${missing}" in the request. ${quote(latest)}`;
  const unwanted = expect.lacks.find((part) => text.includes(part));
  if (unwanted)
    return `${phase} expects no "${unwanted}" in the request, but it holds: ${around(text, unwanted)}`;
  const tool = expect.tools.find((name) => !offered.includes(name));
  if (tool) return `${phase} expects the tool ${tool}. Offered: ${offered.join(', ') || 'none'}.`;
  return undefined;
}

function quote(text: string): string {
  const shortened = text.length <= 600 ? text : `${text.slice(0, 300)} … ${text.slice(-300)}`;
  return `The last message is: ${shortened}`;
}

function around(text: string, part: string): string {
  const at = text.indexOf(part);
  return `… ${text.slice(Math.max(0, at - 100), at + part.length + 100)} …`;
}

function mismatch(message: string): WireReply {
  return writeError(422, 'recording_mismatch', message);
}

/** Runs of one recording are told apart by how their conversations begin, which no retry changes. */
function shownKey({ model, system, messages }: WireRequest, turn: number): string {
  const hash = createHash('sha256').update(JSON.stringify([system, messages[0]?.content[0]]));
  return `${model} ${turn} ${hash.digest('base64url')}`;
}

const standsInHistory: Misbehaviour['kind'][] = ['malformed_arguments', 'unknown_tool', 'empty_turn'];

function nextMisbehaviour(
  { misbehave }: RecordedTurn,
  history: History,
  key: string,
  shown: Map<string, number>,
): { fault: Misbehaviour; ordinal: number } | undefined {
  const all = misbehave.flatMap((fault) => Array.from({ length: fault.times }, () => fault));
  const standing = all.flatMap(({ kind }, at) => (standsInHistory.includes(kind) ? [at + 1] : []));
  const afterHistory = history.wrong === 0 ? 0 : (standing[history.wrong - 1] ?? all.length);
  const at = Math.max(shown.get(key) ?? 0, afterHistory);
  const fault = all[at];
  if (!fault) return undefined;
  shown.set(key, at + 1);
  return { fault, ordinal: at };
}

function reply(
  line: RecordedTurn,
  request: WireRequest,
  next: { fault: Misbehaviour; ordinal: number } | undefined,
): WireReply {
  const answer = buildAnswer(line, request);
  if (!next) return writeAnswer(answer);
  const { fault, ordinal } = next;
  const length = answer.text.length + answer.toolCalls.map((call) => call.argumentsText).join('').length;
  switch (fault.kind) {
    case '429':
      return writeError(429, 'rate_limit_error', 'This request would exceed the rate limit.', {
        'retry-after': String(fault.retryAfterSeconds),
      });
    case '529':
      return writeError(529, 'overloaded_error', 'Overloaded');
    case '500':
      return writeError(500, 'api_error', 'Internal server error');
    case 'error_in_stream':
      return writeAnswer(answer, { kind: 'error', after: fault.after ?? Math.floor(length / 2) });
    case 'hang':
      return writeAnswer(answer, { kind: 'hang', after: fault.after ?? 0 });
    case 'cut_stream':
      return writeAnswer(answer, { kind: 'cut', after: answer.text.length + halfOfFirstCall(answer).length });
    default:
      return writeAnswer(spoil(answer, fault.kind, ordinal));
  }
}

function buildAnswer({ turn, answer }: RecordedTurn, request: WireRequest): WireAnswer {
  const toolCalls = answer.toolCalls.map((call, index) => ({ id: `toolu_${turn}_${index}`, ...call }));
  const { text, pace } = answer;
  const usage = answer.usage ?? estimateUsage(request, [text, toolCalls]);
  return { id: `msg_${turn}`, model: request.model, text, toolCalls, usage, pace };
}

/** About four bytes make a token. */
function estimateUsage({ system, messages, tools }: WireRequest, said: unknown): Usage {
  const tokens = (value: unknown) => Math.ceil(Buffer.byteLength(JSON.stringify(value)) / 4);
  return { input: tokens([system, messages, tools]), cachedInput: 0, output: tokens(said) };
}

function spoil(
  answer: WireAnswer,
  kind: 'malformed_arguments' | 'unknown_tool' | 'empty_turn',
  ordinal: number,
): WireAnswer {
  if (kind === 'empty_turn') return { ...answer, text: '', toolCalls: [] };
  const call = answer.toolCalls[0];
  if (!call) return answer;
  const spoilt =
    kind === 'unknown_tool' ? { name: 'no_such_tool' } : { argumentsText: halfOfFirstCall(answer) };
  // Alone: the other calls would take their effect now, and again in the right answer.
  return { ...answer, toolCalls: [{ ...call, ...spoilt, id: `${call.id}_wrong${ordinal}` }] };
}

function halfOfFirstCall({ toolCalls }: WireAnswer): string {
  const text = toolCalls[0]?.argumentsText ?? '';
  return text.slice(0, Math.max(1, Math.floor(text.length / 2)));
}
