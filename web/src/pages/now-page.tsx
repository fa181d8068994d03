import { Link, useNavigate } from '@tanstack/react-router';
import type { StatusView } from '../../../contract/system.ts';
import type { TaskView } from '../../../contract/tasks.ts';
import { useConnection } from '../api/connection.ts';
import { useStatus, useTasks } from '../api/queries.ts';
import { NeedsList } from '../components/now/needs-list.tsx';
import { RecentlyEnded } from '../components/now/recently-ended.tsx';
import { StandingList } from '../components/now/standing-list.tsx';
import { WorkingTable } from '../components/now/working-table.tsx';
import { isWorking } from '../components/runs/run-state.ts';
import { LiveNote, Page } from '../components/shell/page.tsx';
import { useNeeds } from '../components/shell/use-needs.ts';
import { buttonClass } from '../components/ui/button.tsx';
import { Kbd } from '../components/ui/kbd.tsx';
import { Failure, Loading } from '../components/ui/outcome.tsx';
import { Quiet, Section } from '../components/ui/panel.tsx';
import { money, plural } from '../text/format.ts';
import { FirstRun } from './first-run.tsx';

/** What needs you, what works, what stands and why, what has ended. */
export function NowPage() {
  const status = useStatus();
  const tasks = useTasks();
  const isNew = tasks.data?.length === 0;
  const actions = isNew ? undefined : (
    <Link to="/tasks/new" className={buttonClass('primary')}>
      New task <Kbd inverted>C</Kbd>
    </Link>
  );
  return (
    <Page
      title="Now"
      heading={
        <>
          <h1 className="text-lg font-semibold">Now</h1>
          <span className="text-sm">
            <LiveNote />
          </span>
        </>
      }
      actions={actions}
    >
      {status.data === undefined && status.error !== null && (
        <Failure error={status.error} onRetry={() => void status.refetch()} />
      )}
      {(status.isPending || tasks.isPending) && status.error === null && (
        <Loading label="Reading what is going on" />
      )}
      {status.data !== undefined && isNew && <FirstRun />}
      {status.data !== undefined && tasks.data !== undefined && !isNew && (
        <NowBody status={status.data} tasks={tasks.data} readAt={status.dataUpdatedAt} />
      )}
    </Page>
  );
}

function NowBody({ status, tasks, readAt }: { status: StatusView; tasks: TaskView[]; readAt: number }) {
  const navigate = useNavigate();
  const { needs, putAside } = useNeeds();
  const connection = useConnection();
  const working = status.runs.filter(isWorking);
  const standing = status.runs.filter((run) => !isWorking(run) && run.waiting?.on !== 'ask');
  const titles = new Map([...tasks, ...status.tasks].map((task) => [task.id, task.title]));
  const isLost = connection.phase === 'lost';
  return (
    <>
      <Figures status={status} working={isLost ? null : working.length} needs={needs.length} />
      <Section
        title="Needs you"
        note={
          needs.length > 0 && (
            <span className="hidden md:inline">
              what has a deadline first · <Kbd>J</Kbd> <Kbd>K</Kbd> move · <Kbd>A</Kbd> approve · <Kbd>E</Kbd>{' '}
              edit · <Kbd>D</Kbd> deny
            </span>
          )
        }
      >
        {needs.length === 0 ? (
          <Quiet>
            Nothing waits for you. Asks, changes to review and failures come here, and into the tab’s title.
          </Quiet>
        ) : (
          <NeedsList
            needs={needs}
            titles={titles}
            putAside={putAside}
            onOpen={(to) => void navigate({ to })}
          />
        )}
      </Section>
      <Section
        title={isLost ? 'Last known to work' : 'Working'}
        note={isLost ? 'not known while the connection is lost' : 'every row holds a live lease'}
      >
        {working.length === 0 ? (
          <Quiet>
            No run is working.{' '}
            {status.halted === null
              ? 'A new task starts one.'
              : 'Everything is stopped: release it above, and runs go on.'}
          </Quiet>
        ) : (
          <WorkingTable runs={working} titles={titles} readAt={readAt} />
        )}
      </Section>
      {standing.length > 0 && (
        <Section title="Standing still" note={`${plural(standing.length, 'run')}, and what each waits for`}>
          <StandingList runs={standing} titles={titles} />
        </Section>
      )}
      <RecentlyEnded titles={titles} />
    </>
  );
}

function Figures({ status, working, needs }: { status: StatusView; working: number | null; needs: number }) {
  const { today } = status;
  const limit = today?.limitMicros ?? null;
  const figures = [
    {
      value: working === null ? '?' : String(working),
      label: working === null ? 'working, not known' : 'working',
      tone: '',
    },
    {
      value: String(needs),
      label: needs === 1 ? 'needs you' : 'need you',
      tone: needs > 0 ? 'text-wait' : '',
    },
    {
      value: String(status.changes.length),
      label: status.changes.length === 1 ? 'change to review' : 'changes to review',
      tone: '',
    },
    {
      value: money(today?.spentMicros ?? 0),
      label: limit === null ? 'spent today' : `spent of ${money(limit)} today`,
      tone: limit !== null && (today?.spentMicros ?? 0) > limit * 0.9 ? 'text-fail' : '',
    },
  ];
  return (
    <dl className="grid grid-cols-2 border-b border-line md:grid-cols-4">
      {figures.map(({ value, label, tone }) => (
        <div
          key={label}
          className="flex flex-col-reverse border-line px-3.5 py-2.5 not-last:border-r max-md:nth-[2]:border-r-0 max-md:nth-[-n+2]:border-b md:px-5 md:py-3.5"
        >
          <dt className="text-sm text-ink-2">{label}</dt>
          <dd className={`text-xl font-semibold tracking-tight ${tone}`}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
