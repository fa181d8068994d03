import type { AskStep, ErrorClass, Step } from '../../contract/steps.ts';
import type { Playbook } from './playbook.ts';
import type { PendingCall, PhaseFinish, RunState } from './state.ts';

/** What a run does next. */
export type Decision =
  | { kind: 'recover'; step: Step }
  | { kind: 'await_answer'; step: AskStep }
  | { kind: 'act'; pending: PendingCall }
  | { kind: 'enter'; phase: string }
  | { kind: 'deliver'; finish: PhaseFinish }
  | { kind: 'back_off'; until: number; reason: string }
  | { kind: 'fall_back'; from: string; to: string; reason: string }
  | { kind: 'ask_how_to_go_on'; about: 'model' | 'loop'; question: string }
  | { kind: 'fail'; reason: string }
  | { kind: 'think' };

export interface DecideLimits {
  transientAttempts: number;
  emptyTurns: number;
  idleTurns: number;
  sameTurns: number;
  turns: number;
}

export const decideLimits: DecideLimits = {
  transientAttempts: 6,
  emptyTurns: 3,
  idleTurns: 5,
  sameTurns: 5,
  turns: 400,
};

/** What a person can do about it before the model is tried again. */
const remedies: ReadonlyMap<string, string> = new Map([
  ['authentication', 'Give the provider the right key, under Settings or by its variable. '],
  ['no_credit', 'Add credit at the provider, or raise its limit. '],
  ['unknown_model', 'The provider does not have this model: start the task again with another one. '],
  ['network', 'See that the provider can be reached from here (mission doctor). '],
]);

/** Decides from the steps alone, in the order in which things must be settled. */
export function decide(
  state: RunState,
  playbook: Playbook,
  limits: DecideLimits,
  fallbackModels: readonly string[] = [],
): Decision {
  const { open } = state;
  if (open !== null)
    return open.kind === 'ask' ? { kind: 'await_answer', step: open } : { kind: 'recover', step: open };
  if (state.refusedToGoOn !== null) return { kind: 'fail', reason: describeRefusal(state.refusedToGoOn) };
  const [pending] = state.pending;
  if (pending !== undefined) return { kind: 'act', pending };
  if (state.phase === null) return { kind: 'enter', phase: playbook.phases[0]?.name ?? '' };
  if (state.finish !== null) return afterPhase(state.phase, state.finish, playbook);
  return afterTurn(state, limits, fallbackModels);
}

function afterPhase(phase: string, finish: PhaseFinish, playbook: Playbook): Decision {
  const index = playbook.phases.findIndex((candidate) => candidate.name === phase);
  const next = playbook.phases[index + 1];
  return next === undefined ? { kind: 'deliver', finish } : { kind: 'enter', phase: next.name };
}

function afterTurn(state: RunState, limits: DecideLimits, fallbackModels: readonly string[]): Decision {
  const failure = state.failures.at(-1);
  if (failure?.error) {
    const { class: errorClass, message } = failure.error;
    if (errorClass === 'recording_mismatch') return { kind: 'fail', reason: message };
    if (isTransient(errorClass) && state.failures.length < limits.transientAttempts) {
      const ended = Date.parse(failure.endedAt ?? failure.startedAt);
      const delay = backOffMs(
        state.failures.length,
        failure.error.retryAfterMs,
        `${failure.runId}/${failure.seq}`,
      );
      return { kind: 'back_off', until: ended + delay, reason: `${errorClass}: ${message}` };
    }
    const from = failure.intent.model;
    const to = fallbackModels[fallbackModels.indexOf(from) + 1];
    if (to !== undefined && (isTransient(errorClass) || helpedByAnother.has(errorClass))) {
      return { kind: 'fall_back', from, to, reason: `${errorClass}: ${message}` };
    }
    return {
      kind: 'ask_how_to_go_on',
      about: 'model',
      question: `The model ${failure.name} failed (${errorClass}, ${state.failures.length} time${state.failures.length === 1 ? '' : 's'}): ${message}. ${remedies.get(errorClass) ?? ''}Approve to try again, deny to end the run.`,
    };
  }
  const loop = describeLoop(state, limits);
  if (loop !== null) {
    return {
      kind: 'ask_how_to_go_on',
      about: 'loop',
      question: `${loop} Approve (with a sentence of guidance, if you like) to let it go on, deny to end the run.`,
    };
  }
  return { kind: 'think' };
}

function describeLoop(state: RunState, limits: DecideLimits): string | null {
  if (state.emptyTurns >= limits.emptyTurns)
    return `The model answered nothing ${state.emptyTurns} times in a row.`;
  if (state.idleTurns >= limits.idleTurns)
    return `The model talked ${state.idleTurns} times in a row and called no tool.`;
  if (state.sameTurns >= limits.sameTurns)
    return `The model made the same calls ${state.sameTurns + 1} times in a row.`;
  if (state.turns >= limits.turns) return `The run has taken ${state.turns} turns.`;
  return null;
}

function describeRefusal(refusal: NonNullable<RunState['refusedToGoOn']>): string {
  const { result } = refusal;
  const why = result.answer === '' ? '' : `: ${result.answer}`;
  return result.decision === 'expired'
    ? `nobody said in time how to go on (${refusal.about})`
    : `${result.by} ended it (${refusal.about})${why}`;
}

const transient: ReadonlySet<ErrorClass> = new Set([
  'rate_limited',
  'overloaded',
  'timeout',
  'network',
  'stream_broken',
  'server_error',
]);

/** Failures that are the model's or its provider's own, and not the request's. */
const helpedByAnother: ReadonlySet<ErrorClass> = new Set(['no_credit', 'unknown_model']);

export function isTransient(errorClass: ErrorClass): boolean {
  return transient.has(errorClass);
}

/**
 * How long to wait before attempt n + 1: the provider's word if it gave one, else doubling from a second to
 * a minute; a quarter of jitter on top, drawn from the step's name so that a restart waits as long.
 */
export function backOffMs(attempt: number, retryAfterMs: number | undefined, seed: string): number {
  const base = retryAfterMs ?? Math.min(60_000, 1_000 * 2 ** (attempt - 1));
  let hash = 2_166_136_261;
  for (const character of seed) hash = Math.imul(hash ^ character.charCodeAt(0), 16_777_619) >>> 0;
  return Math.round(base * (1 + (hash % 1_000) / 4_000));
}
