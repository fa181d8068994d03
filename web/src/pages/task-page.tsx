import { Link, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { ChangeView } from '../../../contract/changes.ts';
import type { RunView } from '../../../contract/runs.ts';
import type { TaskView } from '../../../contract/tasks.ts';
import { useChanges, useRuns, useTask } from '../api/queries.ts';
import { ChangeState } from '../components/changes/change-state.tsx';
import { Prose } from '../components/prose.tsx';
import {
  LeaseLine,
  RecordingTag,
  RunElapsed,
  RunStateMark,
  UnsafeTag,
} from '../components/runs/run-badges.tsx';
import { TaskState } from '../components/runs/task-state.tsx';
import { WaitingLine } from '../components/runs/waiting-line.tsx';
import { Page } from '../components/shell/page.tsx';
import { Ago } from '../components/ui/clock.tsx';
import { Failure, Loading } from '../components/ui/outcome.tsx';
import { Code, Empty, Panel, RowList, Section } from '../components/ui/panel.tsx';
import { StateMark } from '../components/ui/state-mark.tsx';
import { money, plural, shortCommit } from '../text/format.ts';
import { plainText } from '../text/plain-text.ts';

export function TaskPage() {
  const { taskId } = useParams({ from: '/inside/tasks/$taskId' });
  const task = useTask(taskId);
  const runs = useRuns(taskId);
  const changes = useChanges(taskId);
  return (
    <Page
      title={task.data?.title ?? 'Task'}
      parent={{ to: '/tasks', title: 'Tasks' }}
      heading={
        <>
          <h1 className="line-clamp-2 min-w-0 text-base leading-tight font-semibold md:line-clamp-1 md:text-lg">
            {task.data?.title ?? 'Task'}
          </h1>
          {task.data !== undefined && <TaskState status={task.data.status} />}
        </>
      }
    >
      {task.data === undefined && task.error !== null && (
        <Failure error={task.error} onRetry={() => void task.refetch()} />
      )}
      {task.isPending && <Loading label="Reading the task" />}
      {task.data !== undefined && (
        <div className="mx-auto grid w-full max-w-[1080px] lg:grid-cols-[minmax(0,1fr)_300px]">
          <div>
            <Standing task={task.data} />
            <Section title="Instructions">
              <Panel className="px-4 py-3">
                <Prose text={task.data.instructions} />
              </Panel>
            </Section>
            <Section title="Changes">
              <TaskChanges changes={changes.data} error={changes.error} />
            </Section>
            <Section title="Runs" note="each is one attempt">
              <TaskRuns runs={runs.data} error={runs.error} readAt={runs.dataUpdatedAt} />
            </Section>
          </div>
          <Facts task={task.data} />
        </div>
      )}
    </Page>
  );
}

/** What the task waits for: on what, for whom, until when, and what then. */
function Standing({ task }: { task: TaskView }) {
  if (task.waiting === null) return null;
  return (
    <div className="mx-3.5 mt-4 flex items-start gap-2.5 rounded-lg border border-line bg-wait-soft px-3.5 py-2.5 md:mx-5">
      <StateMark mark="wait" className="mt-[3px] size-[15px]" />
      <p className="min-w-0 break-words">
        <WaitingLine waiting={task.waiting} />
      </p>
    </div>
  );
}

function Facts({ task }: { task: TaskView }) {
  return (
    <aside aria-label="Facts" className="px-3.5 pt-4 md:px-5">
      <dl className="grid gap-3 text-sm">
        {task.repository === null ? (
          <Fact name="Project">{task.project}</Fact>
        ) : (
          <Fact name="Repository">
            <Code>{task.repository}</Code>
          </Fact>
        )}
        <Fact name="Branch">{task.branch === null ? 'the one it is on' : <Code>{task.branch}</Code>}</Fact>
        {task.folder !== null && (
          <Fact name="Folder">
            <Code>{task.folder}</Code>
          </Fact>
        )}
        <Fact name="Checks">
          <Lines lines={task.checks} none="discovered in the repository" />
        </Fact>
        <Fact name="Set-up">
          <Lines lines={task.setup} none="discovered from lockfiles" />
        </Fact>
        <Fact name="Priority">{task.priority}</Fact>
        <Fact name="Given">
          by {task.createdBy}, <Ago at={task.createdAt} />
        </Fact>
        <Fact name="Number">
          <code className="text-xs break-all text-ink-3">{task.id}</code>
        </Fact>
      </dl>
    </aside>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-ink-3">{name}</dt>
      <dd className="break-words">{children}</dd>
    </div>
  );
}

function Lines({ lines, none }: { lines: string[] | null; none: string }) {
  if (lines === null || lines.length === 0) return none;
  return (
    <ul className="grid gap-1">
      {lines.map((line) => (
        <li key={line}>
          <Code>{line}</Code>
        </li>
      ))}
    </ul>
  );
}

function TaskChanges({ changes, error }: { changes: ChangeView[] | undefined; error: unknown }) {
  if (changes === undefined)
    return error === null ? <Loading rows={1} label="Reading" /> : <Failure error={error} />;
  if (changes.length === 0)
    return (
      <Empty title="No change yet">
        <p>One appears here when a run has delivered a commit that passed its checks.</p>
      </Empty>
    );
  return (
    <RowList label="Changes of this task">
      {changes.map((change) => (
        <li
          key={change.id}
          className="relative flex flex-wrap items-baseline gap-x-4 px-3.5 py-2.5 hover:bg-hover"
        >
          <span className="w-[104px]">
            <ChangeState status={change.status} />
          </span>
          <Link
            to="/changes/$changeId"
            params={{ changeId: change.id }}
            className="min-w-0 flex-1 break-words after:absolute after:inset-0"
          >
            {change.title}
          </Link>
          <code className="text-sm text-ink-3">{shortCommit(change.commit)}</code>
        </li>
      ))}
    </RowList>
  );
}

function TaskRuns(props: { runs: RunView[] | undefined; error: unknown; readAt: number }) {
  const { runs, error, readAt } = props;
  if (runs === undefined)
    return error === null ? <Loading rows={2} label="Reading" /> : <Failure error={error} />;
  return (
    <RowList label="Runs of this task">
      {runs.map((run, index) => (
        <li key={run.id} className="relative grid gap-1 px-3.5 py-2.5 hover:bg-hover">
          <div className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
            <RunStateMark run={run} />
            <Link
              to="/runs/$runId"
              params={{ runId: run.id }}
              className="font-medium after:absolute after:inset-0"
            >
              {run.kind === 'task' ? `Run ${runs.length - index}` : `Run ${runs.length - index}: ${run.kind}`}
            </Link>
            <span className="text-sm text-ink-3">
              {run.agent} · <code>{run.model}</code> · {plural(run.steps, 'step')} ·{' '}
              {money(run.budget?.spentMicros ?? 0)} · <RunElapsed run={run} />
            </span>
            {run.recording && <RecordingTag />}
            {run.sandbox === 'unsafe' && <UnsafeTag />}
            <span className="ml-auto text-sm text-ink-3">
              {run.lease === null ? (
                <Ago at={run.endedAt ?? run.createdAt} />
              ) : (
                <>
                  lease <LeaseLine run={run} confirmedAt={readAt} />
                </>
              )}
            </span>
          </div>
          {run.outcome !== null && <p className="break-words text-sm text-ink-2">{plainText(run.outcome)}</p>}
          {run.waiting !== null && (
            <p className="text-sm break-words">
              <WaitingLine waiting={run.waiting} />
            </p>
          )}
        </li>
      ))}
    </RowList>
  );
}
