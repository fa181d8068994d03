import { Link } from '@tanstack/react-router';
import type { RunView } from '../../../../contract/runs.ts';
import { useConnection } from '../../api/connection.ts';
import { describeRun } from '../runs/run-state.ts';
import { WaitingLine } from '../runs/waiting-line.tsx';
import { RowList } from '../ui/panel.tsx';
import { State } from '../ui/state-mark.tsx';

/** Runs that do not move, and what each waits for. */
export function StandingList(props: { runs: readonly RunView[]; titles: ReadonlyMap<string, string> }) {
  const connection = useConnection();
  return (
    <RowList label="Standing still">
      {props.runs.map((run) => {
        const { mark, word } = describeRun(run, connection);
        return (
          <li key={run.id} className="grid gap-x-4 gap-y-1 px-3.5 py-2.5 md:grid-cols-[118px_minmax(0,1fr)]">
            <State mark={mark}>{word}</State>
            <div className="min-w-0">
              <Link
                to="/runs/$runId"
                params={{ runId: run.id }}
                className="font-medium break-words hover:underline"
              >
                {run.kind !== 'task' && <span className="font-normal text-ink-3">{run.kind} · </span>}
                {props.titles.get(run.taskId) ?? run.taskId}
              </Link>
              <p className="text-sm break-words">
                {run.waiting === null ? (
                  <span className="text-ink-2">Its lease has lapsed; the next free worker takes it up.</span>
                ) : (
                  <WaitingLine waiting={run.waiting} />
                )}
              </p>
            </div>
          </li>
        );
      })}
    </RowList>
  );
}
