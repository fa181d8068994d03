import { coderPlaybook } from '../../server/agent/playbook.ts';
import { readState } from '../../server/agent/state.ts';
import { Journal } from '../../server/runs/journal.ts';
import { median, timed } from '../measure/statistics.ts';
import { leaseBenchRun, type Store } from '../measure/store.ts';

const stepCount = 1_000;
const repeats = 11;
const briefing = {
  agentPrompt: 'You are a developer.',
  title: 'bench',
  instructions: 'Mend the bug.',
  branch: 'main',
  checks: ['npm test'],
  setup: ['npm ci'],
  playbook: coderPlaybook,
  repositoryTexts: [],
  services: [],
  attachments: [],
  images: [],
};
const sourceText =
  'export function add(first: number, second: number): number {\n  return first + second;\n}\n'.repeat(40);

/** Milliseconds from a lease to the state that decides what is next, each time over a new connection. */
export async function measureResume(store: Store): Promise<number> {
  const lease = await leaseBenchRun(store.database);
  const journal = await Journal.open(store.database, lease);
  await journal.record({ kind: 'phase', name: 'implement', intent: { phase: 'implement' } });
  while (journal.steps.length < stepCount) await recordTurn(journal);
  const times: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const database = await store.open();
    times.push(
      await timed(async () => {
        const { steps } = await Journal.open(database, lease);
        const { messages } = readState(steps, briefing);
        if (messages.length < stepCount / 2) throw new Error(`only ${messages.length} messages were read`);
      }),
    );
    await database.close();
  }
  return median(times);
}

/** A model's turn that reads a file, and what it read: 3.5 KB. */
async function recordTurn(journal: Journal): Promise<void> {
  const callId = `call-${journal.steps.length}`;
  const model = await journal.intend({
    kind: 'model',
    name: 'recorded/bench',
    intent: {
      phase: 'implement',
      model: 'recorded/bench',
      promptHash: 'f'.repeat(64),
      builtFromSteps: journal.steps.length + 1,
      attempt: 1,
    },
  });
  const call = { id: callId, name: 'read_file', argumentsText: `{"path":"src/part-${model.seq}.ts"}` };
  await journal.complete(model.seq, {
    status: 'done',
    result: {
      text: 'I read the next file to see how it is used.',
      toolCalls: [call],
      finishReason: 'tool_calls',
    },
    usage: { input: 12_000, cachedInput: 11_000, output: 80 },
    costMicros: 5_000,
  });
  const input = { path: `src/part-${model.seq}.ts` };
  await journal.record(
    {
      kind: 'tool',
      name: 'read_file',
      intent: { callId, modelSeq: model.seq, name: 'read_file', input, effect: 'read' },
    },
    { status: 'done', result: { ok: true, output: sourceText } },
  );
}
