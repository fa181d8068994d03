import type { AskView } from '../../../../contract/asks.ts';
import { ExactText } from '../exact-text.tsx';

export interface ToolAction {
  tool: string;
  input: unknown;
  folder: string | null;
}

/** The call that an approval is about, or null where the ask is about something else. */
export function readAction(ask: AskView): ToolAction | null {
  const { tool, input, folder } = ask.detail;
  if (ask.kind !== 'approval' || typeof tool !== 'string') return null;
  return { tool, input, folder: typeof folder === 'string' ? folder : null };
}

/** The command line of a call that is nothing but one. */
export function commandOf(input: unknown): string | null {
  if (typeof input !== 'object' || input === null || !('command' in input)) return null;
  return typeof input.command === 'string' ? input.command : null;
}

export function optionsOf(ask: AskView): string[] {
  const { options } = ask.detail;
  return Array.isArray(options) ? options.filter((option) => typeof option === 'string') : [];
}

/** In one line, for lists. */
export function actionLine(ask: AskView): string | null {
  const action = readAction(ask);
  if (action === null) return null;
  const command = withoutCommand(action.input) === null ? commandOf(action.input) : null;
  return command ?? `${action.tool} ${JSON.stringify(action.input)}`;
}

/** Whether a line shows all of the action, so that it may be decided where it stands in a list. */
export function isShortAction(line: string): boolean {
  return line.length <= 400 && line.split('\n').length <= 5;
}

/** What happens where nobody decides; the time follows. */
export function describeDefault(ask: AskView): string {
  if (ask.kind === 'clarification') return 'goes on without an answer';
  return ask.defaultDecision === 'deny' ? 'denies itself' : 'approves itself';
}

/** Exactly what would run, to the character. */
export function AskAction({ ask }: { ask: AskView }) {
  const action = readAction(ask);
  if (action === null) return null;
  const command = commandOf(action.input);
  const rest = command === null ? action.input : withoutCommand(action.input);
  return (
    <div className="grid gap-2">
      <section
        aria-label="The exact action"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        tabIndex={0}
        className="max-h-[46vh] overflow-auto rounded-md border border-line bg-sunken"
      >
        <pre className="px-3 py-2.5 text-sm leading-relaxed whitespace-pre-wrap">
          <ExactText text={command ?? JSON.stringify(action.input, null, 2) ?? ''} />
        </pre>
      </section>
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 gap-y-0.5 text-sm">
        <dt className="text-ink-3">Tool</dt>
        <dd>
          <code>{action.tool}</code>
        </dd>
        {command !== null && rest !== null && (
          <>
            <dt className="text-ink-3">With</dt>
            <dd>
              <code className="break-words">
                <ExactText text={JSON.stringify(rest)} />
              </code>
            </dd>
          </>
        )}
        {action.folder !== null && (
          <>
            <dt className="text-ink-3">Folder</dt>
            <dd>
              <code>{action.folder}</code>
            </dd>
          </>
        )}
        {typeof ask.detail.tree === 'string' && (
          <>
            <dt className="text-ink-3">Files</dt>
            <dd>
              as in tree <code>{ask.detail.tree.slice(0, 12)}</code>; the workspace stands still while you
              decide
            </dd>
          </>
        )}
      </dl>
    </div>
  );
}

function withoutCommand(input: unknown): Record<string, unknown> | null {
  if (typeof input !== 'object' || input === null) return null;
  const rest = Object.fromEntries(Object.entries(input).filter(([key]) => key !== 'command'));
  return Object.keys(rest).length === 0 ? null : rest;
}
