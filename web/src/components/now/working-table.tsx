import { Link } from '@tanstack/react-router';
import type { RunView } from '../../../../contract/runs.ts';
import { useConnection } from '../../api/connection.ts';
import { useLastStep } from '../../api/queries.ts';
import { money } from '../../text/format.ts';
import { LeaseLine, PhaseBars, RecordingTag, RunElapsed, UnsafeTag } from '../runs/run-badges.tsx';
import { describeRun } from '../runs/run-state.ts';
import { describeTool } from '../transcript/describe-tool.ts';
import { State } from '../ui/state-mark.tsx';

/** What each run does this second. */
export function WorkingTable(props: {
  runs: readonly RunView[];
  titles: ReadonlyMap<string, string>;
  readAt: number;
}) {
  const { runs, titles, readAt } = props;
  const head = 'h-7 px-2.5 text-left text-xs font-normal text-ink-3';
  return (
    <div className="overflow-hidden rounded-lg border border-line bg-panel">
      <table className="w-full table-fixed border-collapse">
        <thead>
          <tr>
            <th className={`${head} w-[118px] pl-3.5`}>Agent</th>
            <th className={head}>Task</th>
            <th className={`${head} hidden w-[228px] lg:table-cell`}>Phase</th>
            <th className={`${head} hidden w-[17%] md:table-cell`}>Now</th>
            <th className={`${head} hidden w-[132px] xl:table-cell`}>Lease</th>
            <th className={`${head} hidden w-[78px] text-right md:table-cell`}>Elapsed</th>
            <th className={`${head} w-[70px] pr-3.5 text-right`}>Cost</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <WorkingRow key={run.id} run={run} title={titles.get(run.taskId) ?? run.taskId} readAt={readAt} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function WorkingRow({ run, title, readAt }: { run: RunView; title: string; readAt: number }) {
  const { mark, word } = describeRun(run, useConnection());
  const cell = 'h-10 border-t border-line px-2.5 py-1';
  return (
    <tr className="relative hover:bg-hover">
      <td className={`${cell} pl-3.5`}>
        <State mark={mark}>
          <span className="truncate">{run.agent}</span>
          <span className="sr-only">{word}</span>
        </State>
      </td>
      <td className={cell}>
        <Link
          to="/runs/$runId"
          params={{ runId: run.id }}
          className="line-clamp-2 after:absolute after:inset-0 md:line-clamp-1"
        >
          {run.kind !== 'task' && <span className="text-ink-3">{run.kind} · </span>}
          {title}
        </Link>
        <span className="flex flex-wrap items-center gap-x-2 text-sm empty:hidden">
          <span className="xl:hidden">
            <LeaseLine run={run} confirmedAt={readAt} />
          </span>
          {run.recording && <RecordingTag />}
          {run.sandbox === 'unsafe' && <UnsafeTag />}
        </span>
      </td>
      <td className={`${cell} hidden lg:table-cell`}>
        <PhaseBars run={run} />
      </td>
      <td className={`${cell} hidden md:table-cell`}>
        <span className="flex items-center gap-2">
          <NowDoing run={run} />
        </span>
      </td>
      <td className={`${cell} hidden text-sm xl:table-cell`}>
        <LeaseLine run={run} confirmedAt={readAt} />
      </td>
      <td className={`${cell} hidden text-right md:table-cell`}>
        <RunElapsed run={run} />
      </td>
      <td className={`${cell} pr-3.5 text-right`}>{money(run.budget?.spentMicros ?? 0)}</td>
    </tr>
  );
}

/** The step that began last. */
function NowDoing({ run }: { run: RunView }) {
  const last = useLastStep(run.id, run.steps);
  const text =
    last?.kind === 'tool'
      ? `${last.name} ${describeTool(last.name, last.intent.input)}`
      : last?.kind === 'model'
        ? 'thinking…'
        : (last?.name ?? '').replaceAll('_', ' ');
  return <span className="truncate font-mono text-sm text-ink-2">{text || `step ${run.steps}`}</span>;
}
