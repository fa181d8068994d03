import { act, recoverTool } from './act.ts';
import { awaitAnswer, openTrouble } from './answer.ts';
import { type Decision, decide, decideLimits } from './decide.ts';
import type { LoopPorts, WorkResult } from './ports.ts';
import { type RunState, readState } from './state.ts';
import { think } from './think.ts';

/**
 * Drives a run until it delivers, waits or ends. Each turn of the loop reads the steps, decides from them
 * alone, and performs one act that leaves its mark in the journal before and after: so it does not matter
 * whether the turn before was a moment ago in this process or last night in one that died.
 */
export async function work(ports: LoopPorts): Promise<WorkResult> {
  for (;;) {
    ports.signal.throwIfAborted();
    const asked = heedControl(ports);
    if (asked !== null) return asked;
    await ports.record.readGuidance();
    const state = readState(ports.record.steps, ports.briefing);
    const decision = decide(state, ports.briefing.playbook, decideLimits, ports.fallbackModels);
    const rest = await perform(ports, state, decision);
    if (rest !== null) return rest;
  }
}

function heedControl(ports: LoopPorts): WorkResult | null {
  const control = ports.control();
  if (control === 'stop') return { kind: 'stop' };
  if (control === 'pause') return { kind: 'pause' };
  return ports.draining() ? { kind: 'release' } : null;
}

async function perform(ports: LoopPorts, state: RunState, decision: Decision): Promise<WorkResult | null> {
  switch (decision.kind) {
    case 'think':
      return think(ports, state);
    case 'act':
      return (await waitForRoom(ports, decision.pending)) ?? act(ports, state, decision.pending);
    case 'enter':
      await ports.record.enterPhase(decision.phase);
      return null;
    case 'recover':
      return recover(ports, decision.step);
    case 'await_answer':
      return awaitAnswer(ports, decision.step);
    case 'ask_how_to_go_on':
      return openTrouble(ports, decision.about, decision.question);
    case 'back_off':
      return ports.now() < decision.until ? backOff(decision.until, decision.reason) : think(ports, state);
    case 'fall_back':
      await ports.record.note({
        text: `${decision.from} cannot be used (${decision.reason}): the run goes on with ${decision.to}.`,
        fallback: { from: decision.from, to: decision.to },
      });
      return null;
    case 'deliver':
      return {
        kind: 'deliver',
        title: decision.finish.title ?? ports.briefing.title,
        description: decision.finish.description ?? decision.finish.summary,
      };
    case 'fail':
      return { kind: 'fail', reason: decision.reason };
  }
}

/** An intent without a result, left by a worker that died. */
async function recover(
  ports: LoopPorts,
  step: Extract<Decision, { kind: 'recover' }>['step'],
): Promise<null> {
  if (step.kind === 'model') await ports.record.completeModel(step.seq, { status: 'in_doubt', used: null });
  else if (step.kind === 'tool') await recoverTool(ports, step);
  else throw new Error(`a ${step.kind} step (${step.seq}) is open that the loop does not own`);
  return null;
}

/** An agent over its rate gives its worker back until there is room. */
async function waitForRoom(
  ports: LoopPorts,
  { modelSeq, call }: RunState['pending'][number],
): Promise<WorkResult | null> {
  const over = await ports.pace.enterTool({ ref: `${modelSeq}/${call.id}`, tool: call.name });
  return over === null ? null : waitUntil(over.until, over.reason);
}

function backOff(until: number, reason: string): WorkResult {
  return waitUntil(until, `the model is tried again: ${reason}`);
}

function waitUntil(until: number, reason: string): WorkResult {
  return {
    kind: 'wait',
    wakeAt: until,
    waiting: {
      on: 'timer',
      ref: null,
      reason,
      owner: 'control-plane',
      deadline: new Date(until).toISOString(),
      atDeadline: 'retry',
    },
  };
}
