import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { ChangeView } from '../../../../contract/changes.ts';
import type { RunView } from '../../../../contract/runs.ts';
import { useRuns } from '../../api/queries.ts';
import { plainText } from '../../text/plain-text.ts';
import { RunStateMark } from '../runs/run-badges.tsx';
import { WaitingLine } from '../runs/waiting-line.tsx';
import { Ago } from '../ui/clock.tsx';
import { StateMark } from '../ui/state-mark.tsx';

/** What became of the change: the merge or revert under way or ended, and why it went back. */
export function ChangeRuns({ change }: { change: ChangeView }) {
  const runs = useRuns(change.taskId);
  const own = (runs.data ?? []).filter((run) => run.changeId === change.id && run.kind !== 'task');
  const last = own[0];
  return (
    <>
      {change.sentBack !== null && (
        <div className="mx-3.5 mt-4 flex items-start gap-2.5 rounded-lg border border-line bg-sunken px-3.5 py-2.5 md:mx-5">
          <StateMark mark="you" className="mt-[3px] size-[15px]" />
          <div className="min-w-0">
            <p className="font-medium">
              Sent back by {change.sentBack.by}, <Ago at={change.sentBack.at} />
            </p>
            <p className="break-words whitespace-pre-wrap text-ink-2">
              {plainText(change.sentBack.comments)}
            </p>
          </div>
        </div>
      )}
      {last !== undefined && <LastRun run={last} />}
    </>
  );
}

function LastRun({ run }: { run: RunView }) {
  const ground =
    run.status === 'failed' ? 'bg-fail-soft' : run.status === 'succeeded' ? 'bg-ok-soft' : 'bg-accent-soft';
  return (
    <div
      role="status"
      className={`mx-3.5 mt-4 grid gap-1 rounded-lg border border-line px-3.5 py-2.5 md:mx-5 ${ground}`}
    >
      <div className="flex flex-wrap items-baseline gap-x-3">
        <span className="font-medium">{run.kind === 'revert' ? 'Revert' : 'Merge'}</span>
        <RunStateMark run={run} />
        <Link
          to="/runs/$runId"
          params={{ runId: run.id }}
          className="text-sm text-accent underline underline-offset-2"
        >
          its steps
        </Link>
        <span className="ml-auto text-sm text-ink-3">
          <Ago at={run.endedAt ?? run.createdAt} />
        </span>
      </div>
      {run.outcome !== null && (
        <p className="break-words text-ink-2">
          <WithCommands text={plainText(run.outcome)} />
        </p>
      )}
      {run.waiting !== null && (
        <p className="text-sm break-words">
          <WaitingLine waiting={run.waiting} />
        </p>
      )}
    </div>
  );
}

/** A sentence in which a line to run (`git …`) stands in monospace, to be copied. */
function WithCommands({ text }: { text: string }): ReactNode {
  const match = text.match(/^([\s\S]*?Run: )(git .+?)( {2}[\s\S]*)?$/);
  if (match === null) return text;
  const [, before, command = '', after = ''] = match;
  return (
    <>
      {before}
      <code className="my-1 block w-fit max-w-full rounded bg-panel px-2.5 py-1.5 text-sm break-all text-ink select-all">
        {command}
      </code>
      {after.trim()}
    </>
  );
}
