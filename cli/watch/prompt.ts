import { createInterface } from 'node:readline/promises';
import type { AskView, DecideAskBody } from '../../contract/asks.ts';

/** What a person's line means for this ask; null where it leaves the ask open. */
export function decisionOf(
  ask: Pick<AskView, 'kind' | 'detail' | 'actionHash'>,
  line: string,
): DecideAskBody | null {
  const text = line.trim();
  if (text === '') return null;
  const { actionHash } = ask;
  if (ask.kind === 'clarification') {
    return { decision: 'answer', answer: optionsOf(ask)[Number(text) - 1] ?? text, actionHash };
  }
  if (/^y(es)?$/i.test(text)) return { decision: 'approve', answer: '', actionHash };
  if (/^no?$/i.test(text)) return { decision: 'deny', answer: '', actionHash };
  return { decision: 'deny', answer: text, actionHash };
}

export function optionsOf(ask: Pick<AskView, 'detail'>): string[] {
  const { options } = ask.detail;
  return Array.isArray(options) ? options.filter((option) => typeof option === 'string') : [];
}

export function promptOf(ask: Pick<AskView, 'kind' | 'detail'>): string {
  if (ask.kind !== 'clarification') return '    approve? [y]es, [n]o, or why not; nothing leaves it open: ';
  return optionsOf(ask).length > 0
    ? '    answer (a number or your own words); nothing leaves it open: '
    : '    answer; nothing leaves it open: ';
}

/**
 * Asks on stderr.
 * @returns null where the signal ended it
 * @param onInterrupt what Ctrl-C does while the question stands
 */
export async function promptPerson(
  question: string,
  signal: AbortSignal,
  onInterrupt: () => void,
): Promise<string | null> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  lines.on('SIGINT', onInterrupt);
  try {
    return await lines.question(question, { signal });
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  } finally {
    lines.close();
  }
}
