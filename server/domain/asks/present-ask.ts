import type { AskView } from '../../../contract/asks.ts';
import { showExact } from '../../../contract/exact-text.ts';

/** An ask as it is stored. */
export type AskRow = Omit<AskView, 'shown' | 'offer'> & {
  /** Whose ask it is: the agent, and its task's project. */
  madeBy: { agent: string; project: string | null };
};

export function presentAsk({ madeBy, ...ask }: AskRow): AskView {
  return { ...ask, shown: showAction(ask), offer: offerOf({ ...ask, madeBy }) };
}

interface Action {
  tool: string;
  input: Record<string, unknown>;
}

/** The call that an approval is about; null where an ask is about something else. */
function actionOf({ kind, detail }: Pick<AskRow, 'kind' | 'detail'>): Action | null {
  const { tool, input } = detail;
  if (kind !== 'approval' || typeof tool !== 'string') return null;
  return { tool, input: typeof input === 'object' && input !== null ? { ...input } : {} };
}

function showAction(ask: Pick<AskRow, 'kind' | 'detail' | 'input'>): string | null {
  const action = actionOf(ask);
  if (action === null) return null;
  const { command, ...rest } = ask.input ?? action.input;
  const others = Object.keys(rest).length === 0 ? [] : [JSON.stringify(rest)];
  const lines =
    typeof command === 'string' ? [command, ...others] : [JSON.stringify(ask.input ?? action.input)];
  return [action.tool === 'run_command' ? '' : `${action.tool} `, lines.map(showExact).join('\n')].join('');
}

/**
 * The narrowest rule that an approval can become: these arguments to the last character, never the program, the
 * shell or the wrapper that they begin with.
 */
export function offerOf(ask: Pick<AskRow, 'kind' | 'detail' | 'input' | 'madeBy'>): AskView['offer'] {
  const action = actionOf(ask);
  if (action === null) return null;
  const { agent, project } = ask.madeBy;
  return {
    rule: { effect: 'allow', tool: action.tool, input: ask.input ?? action.input, source: 'ask' },
    scope: { agent, ...(project === null ? {} : { project }) },
  };
}
