import type { AskStep } from '../../contract/steps.ts';
import type { LoopPorts, ReservationRefused, WorkResult } from './ports.ts';

/** Goes on with the answer of an ask, or waits for it: until its deadline, when its default holds. */
export async function awaitAnswer(ports: LoopPorts, step: AskStep): Promise<WorkResult | null> {
  const ask = await ports.record.readAsk(step.intent.askId);
  if (ask === undefined) throw new Error(`ask ${step.intent.askId} of step ${step.seq} is gone`);
  if (ask.status === 'open') {
    return {
      kind: 'wait',
      wakeAt: null,
      waiting: {
        on: 'ask',
        ref: ask.id,
        reason: ask.question,
        owner: ask.owner,
        deadline: ask.deadline,
        atDeadline: 'deny',
      },
    };
  }
  await ports.record.closeAsk(step.seq, {
    decision: ask.status === 'decided' ? (ask.decision ?? 'deny') : ask.status,
    answer: ask.answer ?? '',
    by: ask.decidedBy ?? 'nobody',
    ...(ask.input === null ? {} : { input: ask.input }),
  });
  return null;
}

/** A run in trouble asks a person how to go on, instead of failing or spinning. */
export async function openTrouble(
  ports: LoopPorts,
  about: 'model' | 'loop',
  question: string,
): Promise<null> {
  await ports.record.openAsk({
    kind: 'proposal',
    about,
    question,
    detail: { model: ports.model },
    actionHash: ports.hash(question),
  });
  return null;
}

/** The money is spent: nothing is called until a person raises the budget. */
export async function openBudgetAsk(ports: LoopPorts, refused: ReservationRefused): Promise<null> {
  const question = `${refused.explanation}. Approve to raise the limit so that the run goes on, deny to end it.`;
  await ports.record.openAsk({
    kind: 'proposal',
    about: 'budget',
    question,
    detail: { budgetId: refused.budgetId, ...refused.wanted },
    actionHash: ports.hash(question),
  });
  return null;
}
