import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { listedPrice } from '../../contract/models.ts';
import { usage } from '../../contract/steps.ts';
import { AppError } from '../errors.ts';

/*
 * A recording is a file of JSON Lines, `NAME.jsonl`, replayed as the model `recorded/NAME`.
 *
 * Its first line is the header:
 *   {"recording":1,"title":"…","model":"recorded/NAME","source":"written by hand"}
 * Each further line is a turn, numbered from 0 in order. The turn of a request is the number of answers it
 * already holds, so a replay needs no memory and goes on after a restart:
 *   {"turn":0,"expect":{"contains":["…"],"tools":["read_file"]},
 *    "answer":{"text":"…","toolCalls":[{"name":"read_file","input":{"path":"a.ts"}}]},
 *    "misbehave":[{"kind":"429","retryAfterSeconds":1}]}
 */

const strings = z.array(z.string().min(1));

/** What the request of a turn must hold; a recording that no longer fits fails instead of misleading. */
const expectation = z.strictObject({
  /** In what was said since the last answer: results of tools, guidance, the task. */
  contains: strings.default([]),
  /** Anywhere: system prompt, messages, results, arguments of earlier calls. */
  requestContains: strings.default([]),
  /** Nowhere. */
  lacks: strings.default([]),
  /** Names of tools that must be offered. */
  tools: strings.default([]),
  /** A phase, which the request must name; also named where an expectation fails. */
  phase: z.string().min(1).optional(),
});

const toolCall = z
  .strictObject({
    name: z.string().min(1),
    input: z.record(z.string(), z.unknown()).optional(),
    /** Instead of `input`: the arguments as they come over the wire, perhaps malformed. */
    argumentsText: z.string().optional(),
  })
  .refine((call) => (call.input === undefined) !== (call.argumentsText === undefined), {
    error: 'needs either input or argumentsText',
  })
  .transform(({ name, input, argumentsText }) => ({
    name,
    argumentsText: argumentsText ?? JSON.stringify(input),
  }));

const pace = z.strictObject({
  /** Characters of a delta. */
  chunk: z.number().int().positive(),
  /** Wait before each delta. */
  delayMs: z.number().int().nonnegative().max(60_000),
});

const answer = z
  .strictObject({
    text: z.string().default(''),
    toolCalls: z.array(toolCall).default([]),
    /** What is reported as used; by default a quarter of the bytes of request and answer. */
    usage: usage
      .extend({ cachedInput: usage.shape.cachedInput.default(0) })
      .refine((used) => used.cachedInput <= used.input, { error: 'cachedInput is a part of input' })
      .optional(),
    pace: pace.default({ chunk: 40, delayMs: 0 }),
  })
  .refine(({ text, toolCalls }) => text.trim() !== '' || toolCalls.length > 0, {
    error: 'needs text or toolCalls; for an empty answer use misbehave empty_turn',
  });

const times = z.number().int().min(1).max(100).default(1);
const after = z.number().int().nonnegative().optional();

/**
 * What goes wrong before the turn's answer is given, one after the other, each so many `times`. How often
 * a failed call has been shown is counted in memory for each beginning of a conversation; a wrong answer
 * that stands in the history is recognised there and does not count as a turn. `after` counts characters.
 */
const misbehaviour = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('429'), retryAfterSeconds: z.number().nonnegative().default(1), times }),
  z.strictObject({ kind: z.literal('529'), times }),
  z.strictObject({ kind: z.literal('500'), times }),
  z.strictObject({ kind: z.literal('error_in_stream'), after, times }),
  /** Cut in the middle of the first call's arguments. */
  z.strictObject({ kind: z.literal('cut_stream'), times }),
  /** Nothing more comes, until the caller gives up. */
  z.strictObject({ kind: z.literal('hang'), after, times }),
  z.strictObject({ kind: z.literal('malformed_arguments'), times }),
  z.strictObject({ kind: z.literal('unknown_tool'), times }),
  z.strictObject({ kind: z.literal('empty_turn'), times }),
]);
export type Misbehaviour = z.infer<typeof misbehaviour>;

const needsCall: Misbehaviour['kind'][] = ['cut_stream', 'malformed_arguments', 'unknown_tool'];

const recordedTurn = z
  .strictObject({
    turn: z.number().int().nonnegative(),
    expect: expectation.prefault({}),
    answer,
    misbehave: z.array(misbehaviour).default([]),
  })
  .superRefine((line, context) => {
    const wanting = line.misbehave.findIndex(({ kind }) => needsCall.includes(kind));
    if (wanting >= 0 && line.answer.toolCalls.length === 0) {
      const message = `${line.misbehave[wanting]?.kind} needs an answer with a tool call`;
      context.addIssue({ code: 'custom', path: ['misbehave', wanting], message });
    }
  });
export type RecordedTurn = z.infer<typeof recordedTurn>;

const recordingHeader = z.strictObject({
  recording: z.literal(1),
  title: z.string().min(1),
  model: z.string().regex(/^recorded\/[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be recorded/NAME'),
  source: z
    .string()
    .regex(/^(written by hand|recorded from .+)$/, 'must say "written by hand" or "recorded from …"'),
  /** As if it were a model of middle size, so that budgets are exercised; nobody is billed. */
  price: listedPrice.default({ input: 2, cachedInput: 0.1, output: 10 }),
  contextTokens: z.number().int().positive().default(200_000),
  maxOutputTokens: z.number().int().positive().default(32_000),
});

export interface Recording extends z.infer<typeof recordingHeader> {
  turns: RecordedTurn[];
}

export interface Recordings {
  /** File names without `.jsonl`, in order. */
  names(): string[];
  /**
   * Read anew each time, so a recording under work needs no restart; undefined where there is no such file.
   * @throws AppError `unprocessable` naming file, line and field
   */
  read(name: string): Recording | undefined;
}

export function openRecordings(folder: string): Recordings {
  const names = () => listFiles(folder).map((file) => basename(file, '.jsonl'));
  return {
    names,
    read(name) {
      if (!names().includes(name)) return undefined;
      const file = join(folder, `${name}.jsonl`);
      const recording = parseRecording(readFileSync(file), file);
      if (recording.model === `recorded/${name}`) return recording;
      throw invalid(file, 1, `model: must be recorded/${name}, after the file's name`);
    },
  };
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith('.jsonl'))
      .sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** @param file named in errors */
export function parseRecording(content: Uint8Array, file: string): Recording {
  const lines = Buffer.from(content).toString('utf8').split('\n');
  if (lines.at(-1)?.trim() === '') lines.pop();
  const [first, ...rest] = lines;
  const header = parseLine(recordingHeader, first ?? '', file, 1);
  const turns = rest.map((line, index) => {
    const turn = parseLine(recordedTurn, line, file, index + 2);
    if (turn.turn !== index) throw invalid(file, index + 2, `turn: must be ${index}, for turns go in order`);
    return turn;
  });
  if (turns.length === 0) throw invalid(file, 2, 'a recording needs at least one turn');
  return { ...header, turns };
}

function parseLine<T>(schema: z.ZodType<T>, line: string, file: string, number: number): T {
  if (line.includes('\uFFFD')) throw invalid(file, number, 'not UTF-8 text');
  const parsed = schema.safeParse(parseJson(line, file, number));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${path.join('.') || 'the line'}: ${message}`,
  );
  throw invalid(file, number, problems.join('; '));
}

function parseJson(line: string, file: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw invalid(file, number, `not JSON (${error.message})`);
  }
}

function invalid(file: string, line: number, problem: string): AppError {
  return new AppError('unprocessable', `The recording ${file} is not valid, line ${line}: ${problem}.`, {
    detail: { file, line },
  });
}
