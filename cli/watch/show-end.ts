import { type ChangeView, changeDiff, changeView } from '../../contract/changes.ts';
import type { RunView } from '../../contract/runs.ts';
import type { CommandContext } from '../context.ts';
import { diffLines } from '../view/diff-lines.ts';
import { changeLines, filesLine, runEnd } from '../view/run-lines.ts';
import { heading } from '../view/step-lines.ts';

/** What came of a run: its end, the change with its receipt, and the line that goes on from there. */
export async function showEnd(
  context: CommandContext,
  run: RunView,
  options: { diff?: boolean } = {},
): Promise<ChangeView | null> {
  const { terminal, json } = context;
  const { style, out } = terminal;
  const change = await changeOf(context, run);
  if (json) {
    out(`${JSON.stringify({ run, change })}\n`);
    return change;
  }
  const lines = ['', heading(run.status, style), '', ...runEnd(run, style)];
  if (change !== null) {
    const diff = await context.client.get(`/changes/${change.id}/diff`, changeDiff);
    if (options.diff) lines.push('', ...diffLines(diff.patch, style, { indent: '  ' }));
    lines.push('', ...changeLines(change, style), `  ${filesLine(diff.files, style.colors)}`);
    const next = nextLines(change, run);
    if (next.length > 0) lines.push('', ...next.map((line) => `  ${line}`));
  }
  out(`${lines.join('\n')}\n`);
  return change;
}

function nextLines(change: ChangeView, run: RunView): string[] {
  if (change.status !== 'ready') return [];
  // A merge that was refused says in its outcome what to do; the same line again would be refused again.
  if (run.kind !== 'task') return [];
  return [
    `look at it  mission change show ${change.id} --diff`,
    `merge it    mission change merge ${change.id}`,
  ];
}

async function changeOf({ client }: CommandContext, run: RunView): Promise<ChangeView | null> {
  if (run.changeId !== null) return client.get(`/changes/${run.changeId}`, changeView);
  const changes = await client.list(`/changes?task=${run.taskId}`, changeView);
  return changes.filter(({ runId }) => runId === run.id).at(-1) ?? null;
}
