import type { AskView } from '../../contract/asks.ts';
import type {
  AskIntent,
  AskResult,
  Effect,
  ModelIntent,
  NoteIntent,
  Step,
  StepError,
  ToolIntent,
  ToolResult,
  Usage,
} from '../../contract/steps.ts';
import type { Waiting } from '../../contract/waiting.ts';
import type { Models } from '../models/model.ts';
import type { Tool, ToolContext } from '../tools/tool.ts';
import type { Briefing } from './prompt-texts.ts';

/** Tokens, and money in millionths of a US dollar. */
export interface Amount {
  tokens: number;
  micros: number;
}

/** A reservation that did not fit: wait while the money is merely reserved, ask once it is spent. */
export interface ReservationRefused {
  refused: 'reserved' | 'spent';
  /** Says which budget, its limit and what was wanted. */
  explanation: string;
  budgetId: string;
  wanted: Amount;
  /** When there is money again by itself, as an agent's new day; then the run waits instead of asking. */
  retryAt?: number;
}

/**
 * The run's journal as the loop uses it. Each method is one commit under the lease; each throws LeaseLost
 * where the run has another holder, and then nothing further may be started.
 */
export interface RunRecord {
  readonly steps: readonly Step[];
  enterPhase(phase: string): Promise<void>;
  /** Reserves the amount and writes the intent in one commit. */
  intendModel(intent: ModelIntent, reservation: Amount): Promise<Step | ReservationRefused>;
  /** `used` is null where the call's cost is not known: it settles at its reservation. */
  completeModel(
    seq: number,
    end: {
      status: 'done' | 'failed' | 'in_doubt';
      result?: unknown;
      error?: StepError;
      usage?: Usage;
      used: Amount | null;
    },
  ): Promise<void>;
  intendTool(intent: ToolIntent, snapshot: string | null): Promise<Step>;
  completeTool(
    seq: number,
    end: { status: 'done' | 'failed' | 'in_doubt'; result?: ToolResult; error?: StepError },
  ): Promise<void>;
  /** A call that never started: its arguments were wrong, or it was denied. */
  refuseTool(intent: ToolIntent, error: StepError): Promise<void>;
  note(intent: NoteIntent): Promise<void>;
  /** Opens an ask and its step, with the deadline at which its default holds. */
  openAsk(
    ask: Omit<AskIntent, 'askId'> & { detail: Record<string, unknown>; actionHash: string },
  ): Promise<void>;
  readAsk(askId: string): Promise<AskView | undefined>;
  /** Closes the ask's step with the answer; a budget's approval raises it in the same commit. */
  closeAsk(seq: number, result: AskResult): Promise<void>;
  /** Turns what people said since the last look into guidance steps. */
  readGuidance(): Promise<void>;
}

export interface RunWorkspace {
  /** The state of the workspace as a tree; costs nothing where nothing changed. */
  snapshot(): Promise<string>;
  restore(tree: string): Promise<void>;
  /** To be told that a call may have changed something. */
  touched(): void;
}

/** A tool call as the policy and the other guards see it. */
export interface JudgedCall {
  tool: string;
  input: unknown;
  /** A command line, a path, or nothing. */
  subject: string;
  effect: Effect;
}

export interface PolicyVerdict {
  decision: 'allow' | 'ask' | 'deny';
  reason: string;
  /** The version of the policy that judged. */
  version?: number;
  /** Hosts that the approval of an ask lets the run reach. */
  leaves?: string[];
}

/** A provider's limit, shared by all runs, and the agent's own. */
export interface PacePort {
  /** Null where the run may call now; else until when it must wait, and why. */
  enter(model: string): Promise<{ until: number; reason: string } | null>;
  /** Null where the call may start; `ref` is the same when it is begun again. */
  enterTool(call: { ref: string; tool: string }): Promise<{ until: number; reason: string } | null>;
  /** The provider said to slow down. */
  slowDown(model: string, retryAfterMs: number | undefined, reason: string): Promise<void>;
}

export interface LoopPorts {
  model: string;
  /** What the run goes on with, in this order, where its model cannot be used. */
  fallbackModels: readonly string[];
  pace: PacePort;
  briefing: Briefing;
  record: RunRecord;
  models: Models;
  tools: readonly Tool[];
  workspace: RunWorkspace;
  /** The deterministic policy; no text can change its answer. */
  judge(call: JudgedCall): Promise<PolicyVerdict>;
  /** The hash that binds an approval to the exact action and the workspace's tree. */
  hashAction(action: { tool: string; input: unknown; tree: string }): string;
  toolContext(step: { startedAt: string }): ToolContext;
  parseCall(
    tools: readonly Tool[],
    name: string,
    argumentsText: string,
  ):
    | { ok: true; tool: Tool; input: unknown }
    | { ok: false; errorClass: 'unknown_tool' | 'invalid_arguments'; message: string };
  defineTool(tool: Tool): { name: string; description: string; inputSchema: Record<string, unknown> };
  hash(text: string): string;
  /** Text as the model writes it, for those who watch; `flush` before the step that holds all of it. */
  live: { write(seq: number, text: string): void; flush(): Promise<void> };
  signal: AbortSignal;
  control(): 'go' | 'pause' | 'stop';
  draining(): boolean;
  now(): number;
}

/** Why the loop came to rest. */
export type WorkResult =
  | { kind: 'deliver'; title: string; description: string }
  | { kind: 'wait'; waiting: Waiting; wakeAt: number | null }
  | { kind: 'pause' }
  | { kind: 'stop' }
  | { kind: 'fail'; reason: string }
  | { kind: 'release' };
