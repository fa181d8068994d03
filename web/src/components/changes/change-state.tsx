import type { ChangeView } from '../../../../contract/changes.ts';
import { type Mark, State } from '../ui/state-mark.tsx';

const marks: Record<ChangeView['status'], Mark> = {
  draft: 'todo',
  ready: 'wait',
  sent_back: 'stop',
  merged: 'ok',
  reverted: 'stop',
  closed: 'stop',
};

export function ChangeState({ status }: { status: ChangeView['status'] }) {
  return <State mark={marks[status]}>{status === 'ready' ? 'to review' : status.replace('_', ' ')}</State>;
}
