import type { RunView } from '../../contract/runs.ts';
import type { Finding, Halt, StatusView } from '../../contract/system.ts';
import { printableLine } from '../printable.ts';
import type { Style } from '../terminal.ts';
import { count } from './format.ts';
import { askLines, modelName, spentOf, statusWord, unsafeLines, waitingLines } from './run-lines.ts';
import { heading } from './step-lines.ts';
import { wrap } from './text-flow.ts';

export function statusLines(view: StatusView, style: Style, now: Date): string[] {
  const { colors } = style;
  const sandboxes = [...new Set(view.workers.map(({ sandbox }) => sandbox))];
  const unsafe = sandboxes.includes('unsafe') ? unsafeLines('unsafe', style) : [];
  const workers =
    view.workers.length === 0
      ? colors.red('no worker: nothing runs')
      : `${count(view.workers.length, 'worker')}, sandbox ${sandboxes.map((name) => printableLine(name)).join(', ')}`;
  const today = view.today === null ? '' : ` · today ${spentOf(view.today)}`;
  const running = new Set(view.runs.map(({ taskId }) => taskId));
  // A task whose run is shown is told by it.
  const tasks = view.tasks.filter(({ id }) => !running.has(id));
  const sections: [string, string[]][] = [
    [
      'needs you',
      view.asks.flatMap((ask) => [...askLines(ask, style, now), `    ${colors.dim(`in ${ask.runId}`)}`]),
    ],
    ['runs', view.runs.flatMap((run) => runLines(run, view, style, now))],
    [
      'ready for review',
      view.changes.flatMap(({ id, title }) => [
        `  ${colors.bold(printableLine(title, style.width - 4))}`,
        colors.dim(`    mission change show ${id} --diff`),
        colors.dim(`    mission change merge ${id}`),
      ]),
    ],
    [
      'tasks',
      tasks.flatMap((task) => [
        `  ${statusWord(task.status, colors)}  ${colors.bold(printableLine(task.title, style.width - 20))}  ${colors.dim(task.id)}`,
        ...(task.waiting === null ? [] : waitingLines(task.waiting, style, now)),
      ]),
    ],
  ];
  const filled = sections.filter(([, lines]) => lines.length > 0);
  const nothing = ['', '  Nothing runs and nothing waits. Give a task: mission run "…" --repo PATH'];
  return [
    `${colors.bold('Mission Control')} ${printableLine(view.version)} · ${workers}${today}`,
    ...(view.halted === null ? [] : haltLines(view.halted, style)),
    ...unsafe,
    ...(filled.length === 0
      ? nothing
      : filled.flatMap(([name, lines]) => ['', heading(name, style), '', ...lines])),
  ];
}

/** Told before everything else: nothing runs until somebody releases it. */
export function haltLines(halt: Halt, style: Style): string[] {
  const reason = halt.reason === '' ? '' : `: ${halt.reason}`;
  const text = `! everything is stopped by ${printableLine(halt.by, 60)} since ${printableLine(halt.at, 40)}${reason}`;
  return [
    ...wrap(text, style.width, '  ').map((line) => style.colors.red(style.colors.bold(line))),
    '    mission release',
  ];
}

function runLines(run: RunView, view: StatusView, style: Style, now: Date): string[] {
  const { colors } = style;
  const title = view.tasks.find(({ id }) => id === run.taskId)?.title ?? run.taskId;
  const phase = run.phase === '' ? '' : ` · ${run.phase.replaceAll('_', ' ')}`;
  // Only a live lease makes a run a running one.
  const lease = run.status === 'running' && run.lease === null ? colors.yellow(' · no worker holds it') : '';
  const spent = run.budget === null ? '' : ` · ${spentOf(run.budget)}`;
  const model = run.kind === 'task' ? modelName(run) : run.kind;
  return [
    `  ${statusWord(run.status, colors)}  ${colors.bold(printableLine(title, style.width - 20))}${lease}`,
    colors.dim(`    ${run.id} · ${model}${phase} · ${count(run.steps, 'step')}${spent}`),
    ...unsafeLines(run.sandbox, style),
    ...(run.waiting === null ? [] : waitingLines(run.waiting, style, now)),
  ];
}

export function findingLines(findings: Finding[], style: Style): string[] {
  const { colors } = style;
  const width = Math.max(...findings.map(({ name }) => name.length), 0);
  return findings.flatMap(({ name, state, detail, mend }) => [
    `${statusWord(state, colors)}${' '.repeat(Math.max(9 - state.length, 1))}${name.padEnd(width)}  ${printableLine(detail)}`,
    ...(mend === null ? [] : [`${' '.repeat(width + 13)}mend it: ${colors.bold(printableLine(mend))}`]),
  ]);
}
