import type { AskView } from '../../../../contract/asks.ts';
import type { ChangeView } from '../../../../contract/changes.ts';
import type { StatusView } from '../../../../contract/system.ts';
import type { TaskView } from '../../../../contract/tasks.ts';

export type Need =
  | { kind: 'ask'; id: string; at: string; ask: AskView }
  | { kind: 'change'; id: string; at: string; change: ChangeView }
  | { kind: 'failure'; id: string; at: string; task: TaskView };

const failureAgeMs = 3 * 24 * 3_600_000;

/** Everything that stands still until a person does something, oldest first. */
export function listNeeds(
  status: StatusView,
  tasks: readonly TaskView[],
  seen: ReadonlySet<string>,
  now: number,
): Need[] {
  const needs: Need[] = [
    ...status.asks
      .filter((ask) => ask.status === 'open')
      .map((ask): Need => ({ kind: 'ask', id: ask.id, at: ask.createdAt, ask })),
    ...status.changes.map(
      (change): Need => ({ kind: 'change', id: change.id, at: change.createdAt, change }),
    ),
    ...tasks
      .filter((task) => task.status === 'failed' && !seen.has(task.id))
      .filter((task) => now - Date.parse(task.updatedAt) < failureAgeMs)
      .map((task): Need => ({ kind: 'failure', id: task.id, at: task.updatedAt, task })),
  ];
  return needs.sort((a, b) => rank(a) - rank(b) || (a.at < b.at ? -1 : 1));
}

/** What has a deadline stands first. */
function rank(need: Need): number {
  return need.kind === 'ask' ? 0 : 1;
}

const stored = 'mission.seen-failures';

export function readSeenFailures(): Set<string> {
  return new Set((localStorage.getItem(stored) ?? '').split(' ').filter(Boolean));
}

export function keepSeenFailure(id: string): void {
  localStorage.setItem(stored, [...readSeenFailures(), id].slice(-200).join(' '));
}
