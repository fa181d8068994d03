import type { RunView } from '../../../../contract/runs.ts';
import type { Waiting } from '../../../../contract/waiting.ts';
import type { Connection } from '../../api/event-socket.ts';
import type { Mark } from '../ui/state-mark.tsx';

export interface RunState {
  mark: Mark;
  word: string;
}

/** How a run is told. Nothing is shown as running that holds no lease, or that this page cannot know of. */
export function describeRun(run: RunView, connection: Connection): RunState {
  if (run.status === 'succeeded') return { mark: 'ok', word: 'succeeded' };
  if (run.status === 'failed') return { mark: 'fail', word: 'failed' };
  if (run.status === 'stopped') return { mark: 'stop', word: 'stopped' };
  if (connection.phase === 'lost') return { mark: 'unknown', word: `last known: ${run.status}` };
  if (run.status === 'running')
    return run.lease === null ? { mark: 'wait', word: 'held by nobody' } : { mark: 'run', word: 'running' };
  if (run.status === 'paused') return { mark: 'pause', word: 'paused' };
  if (run.status === 'queued') return { mark: 'todo', word: 'queued' };
  return { mark: 'wait', word: 'waiting' };
}

export function isWorking(run: RunView): boolean {
  return run.status === 'running' && run.lease !== null;
}

const atDeadline: Record<Waiting['atDeadline'], string> = {
  deny: 'it is denied',
  retry: 'it is tried again',
  fail: 'it fails',
  remind: 'you are reminded',
};

export function describeDeadline(waiting: Waiting): string {
  return atDeadline[waiting.atDeadline];
}

/** The overnight coder's phases, after the control plane's own. */
export const coderPhases = [
  'prepare',
  'analyse',
  'gather_context',
  'plan',
  'implement',
  'review',
  'finalise',
];

/** Where a run stands among the phases; a run that was taken but has entered none is being prepared. */
export function phaseIndex(run: RunView): number {
  const index = coderPhases.indexOf(run.phase);
  return index === -1 && run.startedAt !== null ? 0 : index;
}
