import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { AppError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Message, ModelAnswer, ModelRequest } from './model.ts';

/** Writes the answers of real calls down as a recording that replays them. */
export interface Recorder {
  write(request: ModelRequest, answer: ModelAnswer): Promise<void>;
}

/**
 * Records one conversation, the first that is held, into `NAME.jsonl`, the model `recorded/NAME`. A turn that
 * is asked again, as after a crash, takes the place of what was recorded from there on. Keys are left out.
 * @param options.secrets what must never stand in the file, such as the providers' keys
 * @throws AppError `invalid_request` where the file cannot be a recording, or is another one already
 */
export function openRecorder(options: {
  file: string;
  log: Logger;
  secrets: () => Promise<string[]>;
}): Recorder {
  const { file, log, secrets } = options;
  const name = /^([A-Za-z0-9][A-Za-z0-9._-]*)\.jsonl$/.exec(basename(file))?.[1];
  if (name === undefined) {
    throw new AppError(
      'invalid_request',
      `MISSION_RECORD must name a file such as /tmp/my-task.jsonl, not ${file}`,
    );
  }
  refuseExisting(file);
  let first: string | undefined;
  let header: string | undefined;
  let lines: string[] = [];
  return {
    async write(request, answer) {
      const said = JSON.stringify(request.messages[0]);
      first ??= said;
      if (first !== said) {
        log.warn({ file }, 'another conversation is being recorded: this call is not');
        return;
      }
      header ??= writeHeader(name, request);
      const line = writeTurn(request, answer);
      if (line === undefined) return;
      lines = [...lines.slice(0, line.turn), JSON.stringify(line)];
      if (lines.length !== line.turn + 1) {
        log.warn(
          { file, turn: line.turn },
          'the conversation began before the recording: nothing is recorded',
        );
        lines = [];
        return;
      }
      const text = leaveOut(`${[header, ...lines].join('\n')}\n`, await secrets());
      replaceFile(file, text, log);
    },
  };
}

/** Whole or not at all. The run goes on without its recording: an answer that was paid for is worth more. */
function replaceFile(file: string, text: string, log: Logger): void {
  try {
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    log.error({ file, error: error.message }, 'the recording cannot be written');
  }
}

function refuseExisting(file: string): void {
  try {
    readFileSync(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw new AppError('invalid_request', `MISSION_RECORD: ${file} cannot be written`, { cause: error });
  }
  throw new AppError(
    'invalid_request',
    `MISSION_RECORD: ${file} exists already; move it away or name another`,
  );
}

function writeHeader(name: string, request: ModelRequest): string {
  return JSON.stringify({
    recording: 1,
    title: `A conversation with ${request.model}`,
    model: `recorded/${name}`,
    source: `recorded from ${request.model}`,
  });
}

/** Undefined for an empty answer: the next turn tells of it, as a misbehaviour. */
function writeTurn(request: ModelRequest, answer: ModelAnswer) {
  if (isEmpty(answer)) return undefined;
  const answers = request.messages.filter((message) => message.role === 'assistant');
  const turn = answers.filter((message) => !isEmpty(message)).length;
  const empty = answers.length - 1 - answers.findLastIndex((message) => !isEmpty(message));
  const tools = [...new Set(answer.toolCalls.map((call) => call.name))];
  return {
    turn,
    expect: { tools: tools.filter((tool) => request.tools.some((offered) => offered.name === tool)) },
    answer: {
      text: answer.text,
      toolCalls: answer.toolCalls.map(({ name, argumentsText }) => ({ name, ...readInput(argumentsText) })),
      usage: answer.usage,
    },
    ...(empty > 0 && { misbehave: [{ kind: 'empty_turn', times: empty }] }),
  };
}

function isEmpty({ text, toolCalls }: Pick<Extract<Message, { role: 'assistant' }>, 'text' | 'toolCalls'>) {
  return text.trim() === '' && toolCalls.length === 0;
}

function readInput(argumentsText: string): { input: unknown } | { argumentsText: string } {
  try {
    const input: unknown = JSON.parse(argumentsText);
    if (typeof input === 'object' && input !== null && !Array.isArray(input)) return { input };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { argumentsText };
}

/** Keys of providers and forges by their well-known beginnings, for those that a model came upon by itself. */
const wellKnown =
  /\b(sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|AKIA[A-Z0-9]{16}|AIza[\w-]{35}|xox[abpr]-[\w-]{10,}|mc_[\w-]{40,})/g;

function leaveOut(text: string, secrets: string[]): string {
  const known = secrets.filter((secret) => secret.length >= 6);
  const left = known.reduce(
    (rest, secret) => rest.replaceAll(JSON.stringify(secret).slice(1, -1), '[secret]'),
    text,
  );
  return left.replace(wellKnown, '[secret]');
}
