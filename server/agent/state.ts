import type {
  AskResult,
  AskStep,
  CheckStep,
  ModelStep,
  NoteStep,
  Step,
  ToolCall,
  ToolStep,
} from '../../contract/steps.ts';
import type { Message } from '../models/model.ts';
import {
  type Briefing,
  describeTask,
  editedText,
  enterText,
  guidanceText,
  nudgeText,
} from './prompt-texts.ts';

/** A call that the model asked for and that has no result yet. */
export interface PendingCall {
  modelSeq: number;
  call: ToolCall;
}

export interface PhaseFinish {
  summary: string;
  title: string | null;
  description: string | null;
}

/** What the steps come to: everything that deciding and asking the model needs. */
export interface RunState {
  messages: Message[];
  phase: string | null;
  /** Set once the current phase was finished by the agent. */
  finish: PhaseFinish | null;
  pending: PendingCall[];
  /** Answers to approvals, by the call that asked. */
  approvals: Map<string, { ask: AskStep; result: AskResult }>;
  /** The step whose result is missing: in progress, or left by a crash. */
  open: Step | null;
  /** The model that the run fell back to; null while it uses its own. */
  model: string | null;
  /** Model calls that failed since the last answer, oldest first. */
  failures: ModelStep[];
  /** Turns in a row in which the model said and did nothing, only talked, or did the same again. */
  emptyTurns: number;
  idleTurns: number;
  sameTurns: number;
  /** Turns since the start, or since a person last let the run go on. */
  turns: number;
  /** The last person's answer on how a run in trouble goes on, if it is the newest word. */
  refusedToGoOn: { about: string; result: AskResult } | null;
}

/** Reads a run's steps. Pure: the same steps give the same state, before a crash and after. */
export function readState(steps: readonly Step[], briefing: Briefing): RunState {
  const reader = new StateReader(briefing);
  for (const step of steps) reader.read(step);
  return reader.state;
}

class StateReader {
  readonly state: RunState = {
    messages: [],
    phase: null,
    finish: null,
    pending: [],
    approvals: new Map(),
    open: null,
    model: null,
    failures: [],
    emptyTurns: 0,
    idleTurns: 0,
    sameTurns: 0,
    turns: 0,
    refusedToGoOn: null,
  };
  readonly #briefing: Briefing;
  readonly #baseChecks: CheckStep[] = [];
  #begun = false;
  /** What was said before the first phase: it follows the task. */
  #early: string[] = [];
  #results: { callId: string; name: string; output: string; failed: boolean }[] = [];
  /** What people said between a call and its result: it follows the result. */
  #held: string[] = [];
  #lastCalls = '';

  constructor(briefing: Briefing) {
    this.#briefing = briefing;
  }

  read(step: Step): void {
    if (step.status === 'intended') {
      this.state.open = step;
      return;
    }
    switch (step.kind) {
      case 'phase':
        if (step.name !== 'prepare') this.#enter(step.name);
        return;
      case 'model':
        this.#turn(step);
        return;
      case 'tool':
        this.#toolEnded(step);
        return;
      case 'ask':
        this.#answered(step);
        return;
      case 'note':
        this.#noted(step);
        return;
      case 'guidance':
        if (this.#begun) this.#say(guidanceText(step.intent));
        else this.#early.push(guidanceText(step.intent));
        if (step.intent.phase !== undefined) this.#enter(step.intent.phase);
        // Said while the work was being delivered: it is heard before the change is offered.
        else if (this.state.phase === this.#briefing.playbook.phases.at(-1)?.name) this.state.finish = null;
        return;
      case 'check':
        if (step.intent.where === 'base') this.#baseChecks.push(step);
        return;
      default:
        return;
    }
  }

  #enter(phase: string): void {
    const { state } = this;
    if (!this.#begun) {
      this.#begun = true;
      const { images } = this.#briefing;
      this.#say(describeTask(this.#briefing, this.#baseChecks), images);
      for (const text of this.#early) this.#say(text);
    }
    state.phase = phase;
    state.finish = null;
    this.#resetTurns();
    this.#say(enterText(this.#briefing.playbook, phase));
  }

  #turn(step: ModelStep): void {
    const { state } = this;
    if (step.status === 'failed') state.failures.push(step);
    if (step.status !== 'done' || step.result === null) return;
    const { text, toolCalls, providerState } = step.result;
    state.turns += 1;
    state.failures = [];
    if (text.trim() === '' && toolCalls.length === 0) {
      state.emptyTurns += 1;
    } else {
      state.emptyTurns = 0;
    }
    const kept =
      providerState === undefined
        ? {}
        : { providerState: { model: step.intent.model, state: providerState } };
    state.messages.push({ role: 'assistant', text, toolCalls, ...kept });
    state.pending = toolCalls.map((call) => ({ modelSeq: step.seq, call }));
    if (toolCalls.length === 0) {
      state.idleTurns += 1;
      this.#say(nudgeText);
      return;
    }
    state.idleTurns = 0;
    const calls = JSON.stringify(toolCalls.map((call) => [call.name, call.argumentsText]));
    state.sameTurns = calls === this.#lastCalls ? state.sameTurns + 1 : 0;
    this.#lastCalls = calls;
  }

  #toolEnded(step: ToolStep): void {
    if (step.status === 'in_doubt') {
      // An approval is good for one try; whether there is another is asked anew.
      this.state.approvals.delete(step.intent.callId);
      return;
    }
    const { callId, name, input, editedBy } = step.intent;
    const output = step.result?.output ?? step.error?.message ?? '';
    const edited = editedBy === undefined ? '' : `${editedText(editedBy, input)}\n\n`;
    this.#result(callId, name, `${edited}${output}`, step.status === 'failed');
    if (name === 'finish_phase' && step.status === 'done') this.state.finish = input as PhaseFinish;
  }

  #answered(step: AskStep): void {
    const { about, callId } = step.intent;
    if (step.result === null) return;
    if (about === 'tool' && callId !== undefined) {
      this.state.approvals.set(callId, { ask: step, result: step.result });
      return;
    }
    if (about === 'question' && callId !== undefined) {
      const { decision, answer, by } = step.result;
      const failed = decision === 'expired' || decision === 'withdrawn';
      const output = failed
        ? 'Nobody answered in time. Decide by yourself, or choose the safer way.'
        : `${by} answers: ${answer || decision}`;
      this.#result(callId, 'ask_human', output, failed);
      return;
    }
    // Whether a change is accepted without green checks is the delivery's to read.
    if (about === 'checks') return;
    this.state.failures = [];
    this.state.model = null;
    this.state.turns = 0;
    this.#resetTurns();
    this.state.refusedToGoOn = step.result.decision === 'approve' ? null : { about, result: step.result };
    if (step.result.answer !== '' && step.result.decision === 'approve')
      this.#say(`${step.result.by} says: ${step.result.answer}`);
  }

  #noted(step: NoteStep): void {
    if (step.intent.fallback !== undefined) {
      this.state.model = step.intent.fallback.to;
      this.state.failures = [];
    }
    if (step.intent.callId !== undefined) this.#result(step.intent.callId, 'note', 'Noted.', false);
  }

  #result(callId: string, name: string, output: string, failed: boolean): void {
    const { state } = this;
    this.#results.push({ callId, name, output, failed });
    state.pending = state.pending.filter((pending) => pending.call.id !== callId);
    if (state.pending.length > 0) return;
    state.messages.push({ role: 'tool', results: this.#results });
    this.#results = [];
    for (const text of this.#held) state.messages.push({ role: 'user', text });
    this.#held = [];
  }

  #say(text: string, images: Briefing['images'] = []): void {
    if (this.state.pending.length > 0) this.#held.push(text);
    else this.state.messages.push({ role: 'user', text, ...(images.length === 0 ? {} : { images }) });
  }

  #resetTurns(): void {
    this.state.emptyTurns = 0;
    this.state.idleTurns = 0;
    this.state.sameTurns = 0;
  }
}
