import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { TaskView } from '../../../contract/tasks.ts';
import { useTasks } from '../api/queries.ts';
import { TaskState } from '../components/runs/task-state.tsx';
import { Page } from '../components/shell/page.tsx';
import { buttonClass } from '../components/ui/button.tsx';
import { Ago } from '../components/ui/clock.tsx';
import { Kbd } from '../components/ui/kbd.tsx';
import { Failure, Loading } from '../components/ui/outcome.tsx';
import { Empty, RowList } from '../components/ui/panel.tsx';
import { repositoryName } from '../text/format.ts';

const filters = ['open', 'ended', 'all'] as const;
type Filter = (typeof filters)[number];
const ended: readonly TaskView['status'][] = ['completed', 'failed', 'cancelled'];

export function TasksPage() {
  const tasks = useTasks();
  const [filter, setFilter] = useState<Filter>('all');
  const shown = (tasks.data ?? []).filter(
    ({ status }) => filter === 'all' || ended.includes(status) === (filter === 'ended'),
  );
  return (
    <Page
      title="Tasks"
      actions={
        <Link to="/tasks/new" className={buttonClass('primary')}>
          New task <Kbd inverted>C</Kbd>
        </Link>
      }
    >
      <fieldset className="flex gap-1 px-3.5 pt-4 md:px-5">
        <legend className="sr-only">Which tasks</legend>
        {filters.map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={filter === one}
            onClick={() => setFilter(one)}
            className={`h-9 rounded-md px-3 text-sm md:h-7 ${filter === one ? 'bg-hover font-medium' : 'text-ink-2 hover:bg-hover'}`}
          >
            {one === 'open' ? 'Open' : one === 'ended' ? 'Ended' : 'All'}
          </button>
        ))}
      </fieldset>
      {tasks.data === undefined && tasks.error !== null && (
        <Failure error={tasks.error} onRetry={() => void tasks.refetch()} />
      )}
      {tasks.isPending && <Loading label="Reading the tasks" />}
      <div className="px-3.5 pt-3 md:px-5">
        {tasks.data !== undefined && shown.length === 0 && (
          <Empty title={filter === 'all' ? 'No task yet' : `No ${filter} task`}>
            {filter === 'all' && (
              <p>Describe what is wanted and name a repository; an agent does the rest.</p>
            )}
          </Empty>
        )}
        {shown.length > 0 && (
          <RowList label="Tasks">
            {shown.map((task) => (
              <TaskRow key={task.id} task={task} />
            ))}
          </RowList>
        )}
      </div>
    </Page>
  );
}

function TaskRow({ task }: { task: TaskView }) {
  return (
    <li className="relative grid grid-cols-[minmax(0,1fr)_auto] items-baseline gap-x-4 px-3.5 py-2.5 hover:bg-hover md:grid-cols-[118px_minmax(0,1fr)_minmax(0,220px)_84px]">
      <span className="max-md:col-span-2">
        <TaskState status={task.status} />
      </span>
      <Link
        to="/tasks/$taskId"
        params={{ taskId: task.id }}
        className="break-words after:absolute after:inset-0 md:truncate"
      >
        {task.title}
      </Link>
      <code className="hidden truncate text-sm text-ink-3 md:inline">
        {task.repository === null ? task.project : repositoryName(task.repository)}
      </code>
      <span className="text-right text-sm text-ink-3">
        <Ago at={task.updatedAt} />
      </span>
    </li>
  );
}
