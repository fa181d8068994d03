import type { TaskView } from '../../../../contract/tasks.ts';
import { type Mark, State } from '../ui/state-mark.tsx';

const marks: Record<TaskView['status'], Mark> = {
  pending: 'todo',
  in_progress: 'todo',
  blocked: 'wait',
  in_review: 'wait',
  completed: 'ok',
  failed: 'fail',
  cancelled: 'stop',
};

/** A task's status. It never turns: only a run that holds a lease does. */
export function TaskState({ status }: { status: TaskView['status'] }) {
  return <State mark={marks[status]}>{status.replace('_', ' ')}</State>;
}
