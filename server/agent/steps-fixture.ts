import type {
  AskIntent,
  AskResult,
  AskStep,
  ErrorClass,
  GuidanceStep,
  ModelStep,
  NoteStep,
  PhaseStep,
  Step,
  ToolStep,
} from '../../contract/steps.ts';
import { coderPlaybook } from './playbook.ts';
import type { Briefing } from './prompt-texts.ts';

export const briefing: Briefing = {
  agentPrompt: 'You work.',
  title: 'Mend the sum',
  instructions: 'It adds wrongly.',
  branch: 'main',
  checks: ['npm test'],
  setup: [],
  repositoryTexts: [],
  services: [],
  attachments: [],
  images: [],
  playbook: coderPlaybook,
};

const startedAt = '2030-01-01T00:00:00.000Z';
const rest = { runId: 'run_a', usage: null, costMicros: null, snapshot: null, startedAt } as const;
const done = { ...rest, seq: 0, status: 'done', error: null, endedAt: startedAt } as const;

/** Numbers steps in their order, as a journal would. */
export const inOrder = (steps: readonly Step[]): Step[] =>
  steps.map((step, index) => ({ ...step, seq: index + 1 }));

export const phase = (name: string): PhaseStep => ({
  ...done,
  kind: 'phase',
  name,
  intent: { phase: name },
  result: {},
});

const modelIntent = { phase: 'analyse', model: 'recorded/a', promptHash: '', builtFromSteps: 1, attempt: 1 };

/** @param calls name and identifier of each, such as `read_file a` */
export const turn = (text: string, ...calls: string[]): ModelStep => ({
  ...done,
  kind: 'model',
  name: 'recorded/a',
  intent: modelIntent,
  result: {
    text,
    finishReason: calls.length === 0 ? 'stop' : 'tool_calls',
    toolCalls: calls.map((call) => {
      const [name = '', id = ''] = call.split(' ');
      return { id, name, argumentsText: '{}' };
    }),
  },
});

export const failure = (errorClass: ErrorClass, retryAfterMs?: number): ModelStep => ({
  ...turn(''),
  status: 'failed',
  result: null,
  error: { class: errorClass, message: 'it failed', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
});

/** @param call name and identifier, such as `read_file a` */
export function result(
  call: string,
  output: string,
  input: unknown = {},
  status: 'done' | 'failed' = 'done',
): ToolStep {
  const [name = '', callId = ''] = call.split(' ');
  const intent = { callId, modelSeq: 1, name, input, effect: 'read' as const };
  return { ...done, kind: 'tool', name, status, intent, result: { ok: status === 'done', output } };
}

export const ask = (intent: Partial<AskIntent>, answer: Partial<AskResult> = {}): AskStep => ({
  ...done,
  kind: 'ask',
  name: 'tool',
  intent: { askId: 'ask_a', kind: 'approval', about: 'tool', question: 'May it?', ...intent },
  result: { decision: 'approve', answer: '', by: 'olga', ...answer },
});

export const guidance = (text: string, to?: string): GuidanceStep => ({
  ...done,
  kind: 'guidance',
  name: 'olga',
  intent: { text, from: 'olga', ...(to === undefined ? {} : { phase: to }) },
  result: null,
});

export const note = (callId?: string): NoteStep => ({
  ...done,
  kind: 'note',
  name: 'note',
  intent: { text: 'noted', ...(callId === undefined ? {} : { callId, modelSeq: 1 }) },
  result: null,
});

/** The step as it stood before its result was committed. */
export const intended = <T extends Step>(step: T): T => ({
  ...step,
  status: 'intended',
  result: null,
  error: null,
  endedAt: null,
});
export const inDoubt = <T extends Step>(step: T): T => ({
  ...step,
  status: 'in_doubt',
  result: null,
  error: null,
});
