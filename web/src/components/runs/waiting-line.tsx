import { Link } from '@tanstack/react-router';
import type { Waiting } from '../../../../contract/waiting.ts';
import { Ago } from '../ui/clock.tsx';
import { describeDeadline } from './run-state.ts';

/** What something waits for, who can end it, until when, and what happens then. */
export function WaitingLine({ waiting }: { waiting: Waiting }) {
  return (
    <span className="text-ink-2">
      {waiting.reason}
      <span className="text-ink-3">
        {' '}
        · for {waiting.owner} · <Ago at={waiting.deadline} /> {describeDeadline(waiting)}
        <WaitingLink waiting={waiting} />
      </span>
    </span>
  );
}

function WaitingLink({ waiting: { on, ref } }: { waiting: Waiting }) {
  if (ref === null) return null;
  const look = 'text-accent underline underline-offset-2';
  if (on === 'ask')
    return (
      <>
        {' · '}
        <Link to="/asks/$askId" params={{ askId: ref }} className={look}>
          the ask
        </Link>
      </>
    );
  if (ref.startsWith('chg_'))
    return (
      <>
        {' · '}
        <Link to="/changes/$changeId" params={{ changeId: ref }} className={look}>
          the change
        </Link>
      </>
    );
  if (ref.startsWith('run_'))
    return (
      <>
        {' · '}
        <Link to="/runs/$runId" params={{ runId: ref }} className={look}>
          the run
        </Link>
      </>
    );
  return null;
}
