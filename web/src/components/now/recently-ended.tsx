import { Link } from '@tanstack/react-router';
import { useRuns } from '../../api/queries.ts';
import { money } from '../../text/format.ts';
import { plainText } from '../../text/plain-text.ts';
import { RecordingTag, RunStateMark } from '../runs/run-badges.tsx';
import { Ago } from '../ui/clock.tsx';
import { RowList, Section } from '../ui/panel.tsx';

const shown = 12;

export function RecentlyEnded({ titles }: { titles: ReadonlyMap<string, string> }) {
  const runs = useRuns();
  const ended = (runs.data ?? [])
    .filter((run) => run.endedAt !== null)
    .sort((a, b) => ((a.endedAt ?? '') > (b.endedAt ?? '') ? -1 : 1))
    .slice(0, shown);
  if (ended.length === 0) return null;
  return (
    <Section title="Recently ended">
      <RowList label="Recently ended">
        {ended.map((run) => (
          <li
            key={run.id}
            className="relative grid grid-cols-[minmax(0,1fr)_auto] items-baseline gap-x-4 px-3.5 py-2 hover:bg-hover md:grid-cols-[118px_minmax(0,1fr)_auto]"
          >
            <span className="hidden md:inline">
              <RunStateMark run={run} />
            </span>
            <span className="min-w-0">
              <span className="md:hidden">
                <RunStateMark run={run} />{' '}
              </span>
              <Link to="/runs/$runId" params={{ runId: run.id }} className="after:absolute after:inset-0">
                {run.kind !== 'task' && <span className="text-ink-3">{run.kind} · </span>}
                {titles.get(run.taskId) ?? run.taskId}
              </Link>{' '}
              <span className="line-clamp-1 text-sm break-words text-ink-3">
                {plainText(run.outcome ?? '')}
              </span>
            </span>
            <span className="flex items-center gap-2.5 text-sm text-ink-3">
              {run.recording && (
                <span className="hidden md:inline">
                  <RecordingTag />
                </span>
              )}
              <span className="hidden md:inline">{money(run.budget?.spentMicros ?? 0)}</span>
              <Ago at={run.endedAt ?? run.createdAt} />
            </span>
          </li>
        ))}
      </RowList>
    </Section>
  );
}
