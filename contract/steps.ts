import { z } from 'zod';

const stepKinds = ['model', 'tool', 'ask', 'guidance', 'phase', 'compaction', 'check', 'note'] as const;
export type StepKind = (typeof stepKinds)[number];
const stepStatuses = ['intended', 'done', 'failed', 'in_doubt'] as const;
export type StepStatus = (typeof stepStatuses)[number];

/** Why a model or tool call failed; decides whether it is tried again. */
export const errorClasses = [
  'rate_limited',
  'overloaded',
  'timeout',
  'network',
  'stream_broken',
  'server_error',
  'authentication',
  'no_credit',
  'invalid_request',
  'unknown_model',
  'context_overflow',
  'refused',
  'recording_mismatch',
  'invalid_arguments',
  'unknown_tool',
  'denied',
  'tool_failed',
  'loop',
  'interrupted',
] as const;
export type ErrorClass = (typeof errorClasses)[number];

/** What a tool call may touch: decides what a crash in its middle means. */
export type Effect = 'read' | 'workspace' | 'external';

/**
 * Tokens of one model call. Of `input`, `cachedInput` were read from the provider's cache and `cacheWrite`
 * written to it.
 */
export const usage = z.object({
  input: z.number().int().nonnegative(),
  cachedInput: z.number().int().nonnegative(),
  cacheWrite: z.number().int().nonnegative().optional(),
  output: z.number().int().nonnegative(),
});
export type Usage = z.infer<typeof usage>;

export interface ToolCall {
  /** The provider's identifier of the call; the result must carry the same. */
  id: string;
  name: string;
  /** The arguments as the model wrote them: JSON text, perhaps malformed. */
  argumentsText: string;
}

export interface ModelIntent {
  phase: string;
  model: string;
  /** SHA-256 of the request; the request itself is rebuilt from the steps. */
  promptHash: string;
  /** The request was built from the steps before this sequence number. */
  builtFromSteps: number;
  attempt: number;
}
export interface ModelResult {
  text: string;
  toolCalls: ToolCall[];
  finishReason: 'stop' | 'tool_calls' | 'length' | 'refused' | 'other';
  /** What the provider wants back with this answer, such as its reasoning; opaque, for the same model alone. */
  providerState?: unknown;
}
export interface ToolIntent {
  callId: string;
  /** The model step that asked for the call. */
  modelSeq: number;
  name: string;
  input: unknown;
  effect: Effect;
  /** The person who put `input` in the place of the arguments that the model wrote. */
  editedBy?: string;
  /** The version of the policy that judged the call. */
  policyVersion?: number;
}
export const taintKinds = ['private', 'untrusted'] as const;

/** What a step brought into its run: private data, or words that somebody else may have written. */
export interface Taint {
  kind: (typeof taintKinds)[number];
  /** Where it came from, for people: `.env`, `example.com`, `a message of peer`. */
  source: string;
}

/** A host that a command tried to reach and was kept from until a person approves of it. */
export interface KeptFrom {
  host: string;
  reason: string;
}

export interface ToolResult {
  ok: boolean;
  /** What the model reads. */
  output: string;
  /** Whole output, where `output` is an extract. */
  artifact?: string;
  diff?: string;
  exitCode?: number | null;
  taint?: Taint[];
  keptFrom?: KeptFrom[];
}
export interface AskIntent {
  askId: string;
  kind: 'approval' | 'clarification' | 'proposal';
  /** What the answer decides: a tool call, the agent's own question, or how a run in trouble goes on. */
  about: 'tool' | 'question' | 'model' | 'budget' | 'loop' | 'checks' | 'push';
  question: string;
  /** The tool call that waits for the answer, if one does. */
  callId?: string;
  modelSeq?: number;
  /** The workspace's tree that an approval is bound to. */
  tree?: string;
  /** Of the exact action; what starts after an approval must have the same. */
  actionHash?: string;
  /** Hosts that an approval lets the run reach, by name. */
  leaves?: string[];
}
export interface AskResult {
  decision: 'approve' | 'deny' | 'answer' | 'expired' | 'withdrawn';
  answer: string;
  by: string;
  /** The arguments that a person put in the place of the model's. */
  input?: Record<string, unknown>;
}
export interface GuidanceIntent {
  text: string;
  /** A principal's name, or `control-plane` for red checks and the like. */
  from: string;
  /** The phase that it sends the run back to. */
  phase?: string;
  /** Where it is not a person who says so. */
  taint?: Taint[];
  /** An agent says so: it is material, and no guidance. */
  peer?: true;
}
/** A phase begins. `prepare` is the control plane's own; the others are the playbook's. */
export interface PhaseIntent {
  phase: string;
}
export interface CheckIntent {
  command: string;
  commit: string;
  /** `setup` prepares; `base` and `change` are where the check ran; `pinned` is the change under the base's tests. */
  where: 'setup' | 'base' | 'change' | 'pinned';
}
export interface CheckResult {
  exitCode: number | null;
  outcome: 'passed' | 'failed' | 'timed_out' | 'out_of_memory' | 'refused';
  durationMs: number;
  setupKey: string;
  excerpt: string;
  artifact?: string;
}
export interface NoteIntent {
  text: string;
  callId?: string;
  modelSeq?: number;
  /** From here on the run goes on with another model. */
  fallback?: { from: string; to: string };
}

export interface StepError {
  class: ErrorClass;
  message: string;
  retryAfterMs?: number;
}

interface StepOf<K extends StepKind, I, R> {
  runId: string;
  seq: number;
  kind: K;
  /** The tool, phase, model or check, for lists. */
  name: string;
  status: StepStatus;
  intent: I;
  result: R | null;
  error: StepError | null;
  usage: Usage | null;
  /** Price in millionths of a US dollar. */
  costMicros: number | null;
  /** The workspace's snapshot taken at the intent. */
  snapshot: string | null;
  startedAt: string;
  endedAt: string | null;
}

export type ModelStep = StepOf<'model', ModelIntent, ModelResult>;
export type ToolStep = StepOf<'tool', ToolIntent, ToolResult>;
export type AskStep = StepOf<'ask', AskIntent, AskResult>;
export type GuidanceStep = StepOf<'guidance', GuidanceIntent, null>;
export type PhaseStep = StepOf<'phase', PhaseIntent, Record<string, unknown>>;
export type CheckStep = StepOf<'check', CheckIntent, CheckResult>;
export type NoteStep = StepOf<'note', NoteIntent, null>;
export type CompactionStep = StepOf<'compaction', { text: string }, null>;
export type Step =
  | ModelStep
  | ToolStep
  | AskStep
  | GuidanceStep
  | PhaseStep
  | CheckStep
  | NoteStep
  | CompactionStep;

/** The envelope of a step; what its kind puts inside is as the interfaces above say. */
export const stepView = z.object({
  runId: z.string(),
  seq: z.number().int().positive(),
  kind: z.enum(stepKinds),
  name: z.string(),
  status: z.enum(stepStatuses),
  intent: z.record(z.string(), z.unknown()),
  result: z.record(z.string(), z.unknown()).nullable(),
  error: z.object({ class: z.string(), message: z.string(), retryAfterMs: z.number().optional() }).nullable(),
  usage: usage.nullable(),
  costMicros: z.number().nullable(),
  snapshot: z.string().nullable(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
});
export type StepView = z.infer<typeof stepView>;

/** A step as whoever reads the API has it: its envelope is looked at, the rest was checked by the server that wrote it. */
export const readStep = z.custom<Step>((value) => stepView.safeParse(value).success, { error: 'is no step' });
