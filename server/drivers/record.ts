import type {
  AskStep,
  GuidanceIntent,
  Taint,
  ToolIntent,
  ToolResult,
  ToolStep,
} from '../../contract/steps.ts';
import type { RunRecord } from '../agent/ports.ts';
import type { Queryable, Transaction } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import { findAsk, openAsk } from '../domain/asks/asks.ts';
import {
  BudgetRefused,
  type BudgetRow,
  raiseBudget,
  readToday,
  reserve,
  scopeName,
  settle,
} from '../domain/budgets/budgets.ts';
import { readLimits } from '../domain/limits/limits.ts';
import { markRead, readUnread } from '../domain/runs/runs.ts';
import { appendEvents } from '../events/append.ts';
import { newId } from '../ids.ts';
import type { DriveContext } from '../runs/worker.ts';
import type { DriverParts } from './parts.ts';

/** The run's journal as the loop uses it: each act with what must become true in the same commit. */
export class JournalRecord implements RunRecord {
  readonly #parts: DriverParts;
  readonly #context: DriveContext;
  readonly #assignment: { agent: string };

  /** What a call brought into the run, put into its result before that is written. */
  mark: (intent: ToolIntent, result: ToolResult) => ToolResult = (_intent, result) => result;

  constructor(parts: DriverParts, context: DriveContext, assignment: { agent: string }) {
    this.#parts = parts;
    this.#context = context;
    this.#assignment = assignment;
  }

  get steps() {
    return this.#context.journal.steps;
  }

  async enterPhase(phase: string): Promise<void> {
    await this.#context.journal.record(
      { kind: 'phase', name: phase, intent: { phase } },
      { status: 'done' },
      (transaction) => enterPhase(transaction, this.#context.run, phase),
    );
  }

  intendModel: RunRecord['intendModel'] = async (intent, reservation) => {
    const { journal, run } = this.#context;
    const { dayLimitMicros } = this.#parts.settings;
    try {
      return await journal.intend({ kind: 'model', name: intent.model, intent }, async (transaction, seq) => {
        const day = await readToday(transaction);
        await reserve(transaction, { runId: run.runId, seq, day, dayLimitMicros, amount: reservation });
      });
    } catch (error) {
      if (!(error instanceof BudgetRefused)) throw error;
      const { kind, budget, wanted } = error.refusal;
      const retryAt = kind === 'spent' ? await findNextDay(this.#parts.database, budget) : undefined;
      return {
        refused: kind,
        explanation: explainRefusal(budget, wanted),
        budgetId: budget.id,
        wanted,
        ...(retryAt === undefined ? {} : { retryAt }),
      };
    }
  };

  completeModel: RunRecord['completeModel'] = async (seq, { used, usage, ...end }) => {
    const { journal, run } = this.#context;
    await journal.complete(
      seq,
      { ...end, usage: usage ?? null, costMicros: used?.micros ?? null },
      (transaction) => settle(transaction, { runId: run.runId, seq, used }),
    );
  };

  intendTool: RunRecord['intendTool'] = (intent, snapshot) =>
    this.#context.journal.intend({ kind: 'tool', name: intent.name, intent, snapshot });

  completeTool: RunRecord['completeTool'] = async (seq, end) => {
    const step = this.steps.find(
      (candidate): candidate is ToolStep => candidate.seq === seq && candidate.kind === 'tool',
    );
    const { result } = end;
    const marked = step === undefined || result === undefined ? result : this.mark(step.intent, result);
    await this.#context.journal.complete(seq, {
      ...end,
      ...(marked === undefined ? {} : { result: marked }),
    });
  };

  refuseTool: RunRecord['refuseTool'] = async (intent, error) => {
    const result = { ok: false, output: error.message };
    await this.#context.journal.record(
      { kind: 'tool', name: intent.name, intent },
      { status: 'failed', error, result },
    );
  };

  note: RunRecord['note'] = async (intent) => {
    await this.#context.journal.record({ kind: 'note', name: 'note', intent });
  };

  openAsk: RunRecord['openAsk'] = async ({ detail, actionHash, ...ask }) => {
    const { run } = this.#context;
    const { clock, settings } = this.#parts;
    const askId = newId('ask');
    await this.#context.journal.intend(
      { kind: 'ask', name: ask.about, intent: { ...ask, askId, actionHash } },
      async (transaction) => {
        await openAsk(transaction, {
          id: askId,
          runId: run.runId,
          taskId: run.taskId,
          kind: ask.kind,
          question: ask.question,
          detail,
          actionHash,
          owner: settings.owner,
          deadlineAt: clock.now() + settings.askDeadlineMs,
          defaultDecision: 'deny',
          actor: this.#assignment.agent,
        });
        if (ask.about === 'budget') await tellExhausted(transaction, run, detail, ask.question);
      },
    );
  };

  readAsk: RunRecord['readAsk'] = (askId) => findAsk(this.#parts.database, askId);

  closeAsk: RunRecord['closeAsk'] = async (seq, result) => {
    const step = this.steps.find(
      (candidate): candidate is AskStep => candidate.seq === seq && candidate.kind === 'ask',
    );
    await this.#context.journal.complete(seq, { status: 'done', result }, async (transaction) => {
      if (step?.intent.about === 'budget' && result.decision === 'approve')
        await raise(transaction, step.intent.askId);
    });
  };

  async readGuidance(): Promise<void> {
    const { run, journal } = this.#context;
    // An open intent is finished first: guidance is read at the next step.
    if (journal.steps.some((step) => step.status === 'intended')) return;
    for (const message of await readUnread(this.#parts.database, run.runId)) {
      const { text, sender, senderKind } = message;
      const taint: Taint[] = [{ kind: 'untrusted', source: `a message of ${sender}` }];
      const intent: GuidanceIntent = {
        text,
        from: sender,
        ...(senderKind === 'human' ? {} : { taint }),
        ...(senderKind === 'agent' ? { peer: true as const } : {}),
      };
      await journal.record(
        { kind: 'guidance', name: message.sender, intent },
        { status: 'done' },
        (transaction) => markRead(transaction, message.id),
      );
    }
  }
}

/** The run's phase, shown in every view, with its event. */
export async function enterPhase(
  transaction: Transaction,
  run: { runId: string; taskId: string; workerId: string },
  phase: string,
): Promise<void> {
  await transaction.many(sql`UPDATE runs SET phase = ${phase} WHERE id = ${run.runId}`);
  await appendEvents(transaction, [
    {
      type: 'run.phase_entered',
      entityType: 'run',
      entityId: run.runId,
      runId: run.runId,
      taskId: run.taskId,
      actor: run.workerId,
      data: { phase },
    },
  ]);
}

/** When an agent whose rule is to wait has money again; undefined for every other budget. */
async function findNextDay(database: Queryable, budget: BudgetRow): Promise<number | undefined> {
  if (budget.scope !== 'agent_day') return undefined;
  const [agentId = '', day = ''] = budget.key.split('/');
  const { over } = await readLimits(database, agentId);
  return over === 'wait' ? Date.parse(day) + 24 * 3_600_000 : undefined;
}

async function tellExhausted(
  transaction: Transaction,
  run: { runId: string; taskId: string; workerId: string },
  detail: Record<string, unknown>,
  explanation: string,
): Promise<void> {
  await appendEvents(transaction, [
    {
      type: 'budget.exhausted',
      entityType: 'budget',
      entityId: String(detail['budgetId']),
      runId: run.runId,
      taskId: run.taskId,
      actor: run.workerId,
      data: { explanation },
    },
  ]);
}

async function raise(transaction: Transaction, askId: string): Promise<void> {
  const ask = await transaction.one<{ detail: { budgetId: string; tokens: number; micros: number } }>(
    sql`SELECT detail FROM asks WHERE id = ${askId}`,
  );
  await raiseBudget(transaction, ask.detail.budgetId, {
    tokens: ask.detail.tokens,
    micros: ask.detail.micros,
  });
}

function explainRefusal(budget: BudgetRow, wanted: { tokens: number; micros: number }): string {
  const dollars = (micros: number) => `$${(micros / 1e6).toFixed(2)}`;
  const limits = [
    budget.limitMicros === null
      ? ''
      : `${dollars(budget.spentMicros)} of ${dollars(budget.limitMicros)} spent`,
    budget.limitTokens === null ? '' : `${budget.spentTokens} of ${budget.limitTokens} tokens used`,
  ].filter((text) => text !== '');
  return `The ${scopeName(budget.scope)} budget (${budget.key}) does not allow the next model call: ${limits.join(', ')}; the call may cost ${dollars(wanted.micros)} and ${wanted.tokens} tokens`;
}
