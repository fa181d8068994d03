import { z } from 'zod';

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
const effect = z.enum(['read', 'workspace', 'external']);
export type Effect = z.infer<typeof effect>;

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

export const toolCall = z.object({
  /** The provider's identifier of the call; the result must carry the same. */
  id: z.string(),
  name: z.string(),
  /** The arguments as the model wrote them: JSON text, perhaps malformed. */
  argumentsText: z.string(),
});
export type ToolCall = z.infer<typeof toolCall>;

export const modelIntent = z.object({
  phase: z.string(),
  model: z.string(),
  /** SHA-256 of the request; the request itself is rebuilt from the steps. */
  promptHash: z.string(),
  /** The request was built from the steps before this sequence number. */
  builtFromSteps: z.number(),
  attempt: z.number(),
});
export type ModelIntent = z.infer<typeof modelIntent>;

export const modelResult = z.object({
  text: z.string(),
  toolCalls: z.array(toolCall),
  finishReason: z.enum(['stop', 'tool_calls', 'length', 'refused', 'other']),
  /** What the provider wants back with this answer, such as its reasoning; opaque, for the same model alone. */
  providerState: z.unknown().exactOptional(),
});
export type ModelResult = z.infer<typeof modelResult>;

export const toolIntent = z.object({
  callId: z.string(),
  /** The model step that asked for the call. */
  modelSeq: z.number(),
  name: z.string(),
  input: z.unknown(),
  effect,
  /** The person who put `input` in the place of the arguments that the model wrote. */
  editedBy: z.string().exactOptional(),
  /** The version of the policy that judged the call. */
  policyVersion: z.number().exactOptional(),
});
export type ToolIntent = z.infer<typeof toolIntent>;

export const taintKinds = ['private', 'untrusted'] as const;

/** What a step brought into its run: private data, or words that somebody else may have written. */
export const taint = z.object({
  kind: z.enum(taintKinds),
  /** Where it came from, for people: `.env`, `example.com`, `a message of peer`. */
  source: z.string(),
});
export type Taint = z.infer<typeof taint>;

/** A host that a command tried to reach and was kept from until a person approves of it. */
const keptFrom = z.object({ host: z.string(), reason: z.string() });
export type KeptFrom = z.infer<typeof keptFrom>;

export const toolResult = z.object({
  ok: z.boolean(),
  /** What the model reads. */
  output: z.string(),
  /** Whole output, where `output` is an extract. */
  artifact: z.string().exactOptional(),
  diff: z.string().exactOptional(),
  exitCode: z.number().nullable().exactOptional(),
  taint: z.array(taint).exactOptional(),
  keptFrom: z.array(keptFrom).exactOptional(),
});
export type ToolResult = z.infer<typeof toolResult>;

export const askIntent = z.object({
  askId: z.string(),
  kind: z.enum(['approval', 'clarification', 'proposal']),
  /** What the answer decides: a tool call, the agent's own question, or how a run in trouble goes on. */
  about: z.enum(['tool', 'question', 'model', 'budget', 'loop', 'checks', 'push']),
  question: z.string(),
  /** The tool call that waits for the answer, if one does. */
  callId: z.string().exactOptional(),
  modelSeq: z.number().exactOptional(),
  /** The workspace's tree that an approval is bound to. */
  tree: z.string().exactOptional(),
  /** Of the exact action; what starts after an approval must have the same. */
  actionHash: z.string().exactOptional(),
  /** Hosts that an approval lets the run reach, by name. */
  leaves: z.array(z.string()).exactOptional(),
});
export type AskIntent = z.infer<typeof askIntent>;

export const askResult = z.object({
  decision: z.enum(['approve', 'deny', 'answer', 'expired', 'withdrawn']),
  answer: z.string(),
  by: z.string(),
  /** The arguments that a person put in the place of the model's. */
  input: z.record(z.string(), z.unknown()).exactOptional(),
});
export type AskResult = z.infer<typeof askResult>;

export const guidanceIntent = z.object({
  text: z.string(),
  /** A principal's name, or `control-plane` for red checks and the like. */
  from: z.string(),
  /** The phase that it sends the run back to. */
  phase: z.string().exactOptional(),
  /** Where it is not a person who says so. */
  taint: z.array(taint).exactOptional(),
  /** An agent says so: it is material, and no guidance. */
  peer: z.literal(true).exactOptional(),
});
export type GuidanceIntent = z.infer<typeof guidanceIntent>;

/** A phase begins. `prepare` is the control plane's own; the others are the playbook's. */
export const phaseIntent = z.object({ phase: z.string() });
export type PhaseIntent = z.infer<typeof phaseIntent>;

export const checkIntent = z.object({
  command: z.string(),
  commit: z.string(),
  /** `setup` prepares; `base` and `change` are where the check ran; `pinned` is the change under the base's tests. */
  where: z.enum(['setup', 'base', 'change', 'pinned']),
});
export type CheckIntent = z.infer<typeof checkIntent>;

export const checkResult = z.object({
  exitCode: z.number().nullable(),
  outcome: z.enum(['passed', 'failed', 'timed_out', 'out_of_memory', 'refused']),
  durationMs: z.number(),
  setupKey: z.string(),
  excerpt: z.string(),
  artifact: z.string().exactOptional(),
});
export type CheckResult = z.infer<typeof checkResult>;

export const noteIntent = z.object({
  text: z.string(),
  callId: z.string().exactOptional(),
  modelSeq: z.number().exactOptional(),
  /** From here on the run goes on with another model. */
  fallback: z.object({ from: z.string(), to: z.string() }).exactOptional(),
});
export type NoteIntent = z.infer<typeof noteIntent>;

export const stepError = z.object({
  class: z.enum(errorClasses),
  message: z.string(),
  retryAfterMs: z.number().exactOptional(),
});
export type StepError = z.infer<typeof stepError>;

const envelope = {
  runId: z.string(),
  seq: z.number().int().positive(),
  /** The tool, phase, model or check, for lists. */
  name: z.string(),
  status: z.enum(stepStatuses),
  error: stepError.nullable(),
  usage: usage.nullable(),
  /** Price in millionths of a US dollar. */
  costMicros: z.number().nullable(),
  /** The workspace's snapshot taken at the intent. */
  snapshot: z.string().nullable(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
};

function stepOf<K extends string, I extends z.ZodType, R extends z.ZodType>(kind: K, intent: I, result: R) {
  return z.object({ ...envelope, kind: z.literal(kind), intent, result: result.nullable() });
}

export const modelStep = stepOf('model', modelIntent, modelResult);
export type ModelStep = z.infer<typeof modelStep>;
export const toolStep = stepOf('tool', toolIntent, toolResult);
export type ToolStep = z.infer<typeof toolStep>;
export const askStep = stepOf('ask', askIntent, askResult);
export type AskStep = z.infer<typeof askStep>;
export const guidanceStep = stepOf('guidance', guidanceIntent, z.null());
export type GuidanceStep = z.infer<typeof guidanceStep>;
export const phaseStep = stepOf('phase', phaseIntent, z.record(z.string(), z.unknown()));
export type PhaseStep = z.infer<typeof phaseStep>;
export const checkStep = stepOf('check', checkIntent, checkResult);
export type CheckStep = z.infer<typeof checkStep>;
export const noteStep = stepOf('note', noteIntent, z.null());
export type NoteStep = z.infer<typeof noteStep>;
export const compactionStep = stepOf('compaction', z.object({ text: z.string() }), z.null());
export type CompactionStep = z.infer<typeof compactionStep>;

/** One act of a run: what was about to be done, and what came of it. Null as `result` while it is only intended. */
export const stepView = z.discriminatedUnion('kind', [
  modelStep,
  toolStep,
  askStep,
  guidanceStep,
  phaseStep,
  checkStep,
  noteStep,
  compactionStep,
]);
export type Step = z.infer<typeof stepView>;
export type StepKind = Step['kind'];

/** What every step has had since the first version, whatever its kind puts inside. */
const anyStep = z.object({
  ...envelope,
  kind: z.enum(stepView.options.map(({ shape }) => shape.kind.value)),
  intent: z.record(z.string(), z.unknown()),
  result: z.record(z.string(), z.unknown()).nullable(),
  error: z.object({ class: z.string(), message: z.string() }).nullable(),
});

/**
 * A step as whoever reads the API takes it. Its envelope alone is looked at: a step is stored for ever, and an earlier
 * version may have put less inside than `stepView` tells of.
 */
export const readStep = z.custom<Step>((value) => anyStep.safeParse(value).success, { error: 'is no step' });
