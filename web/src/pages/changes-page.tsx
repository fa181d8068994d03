import { Link } from '@tanstack/react-router';
import { useChanges } from '../api/queries.ts';
import { ChangeState } from '../components/changes/change-state.tsx';
import { Page } from '../components/shell/page.tsx';
import { Ago } from '../components/ui/clock.tsx';
import { Failure, Loading } from '../components/ui/outcome.tsx';
import { Empty, RowList } from '../components/ui/panel.tsx';
import { repositoryName } from '../text/format.ts';

export function ChangesPage() {
  const changes = useChanges();
  const sorted = [...(changes.data ?? [])].sort(
    (a, b) =>
      Number(b.status === 'ready') - Number(a.status === 'ready') || (a.updatedAt > b.updatedAt ? -1 : 1),
  );
  return (
    <Page title="Changes">
      {changes.data === undefined && changes.error !== null && (
        <Failure error={changes.error} onRetry={() => void changes.refetch()} />
      )}
      {changes.isPending && <Loading label="Reading the changes" />}
      {changes.data !== undefined && (
        <div className="px-3.5 pt-4 md:px-5">
          {sorted.length === 0 ? (
            <Empty title="No change yet">
              <p>
                When an agent has finished a task and its checks have passed, the change waits here for your
                review.
              </p>
            </Empty>
          ) : (
            <RowList label="Changes">
              {sorted.map((change) => (
                <li
                  key={change.id}
                  className="relative grid grid-cols-[minmax(0,1fr)_auto] items-baseline gap-x-4 px-3.5 py-2.5 hover:bg-hover md:grid-cols-[104px_minmax(0,1fr)_minmax(0,240px)_84px]"
                >
                  <span className="max-md:col-span-2">
                    <ChangeState status={change.status} />
                  </span>
                  <Link
                    to="/changes/$changeId"
                    params={{ changeId: change.id }}
                    className="break-words after:absolute after:inset-0 md:truncate"
                  >
                    {change.title}
                  </Link>
                  <code className="hidden truncate text-sm text-ink-3 md:inline">
                    {repositoryName(change.repository)} · {change.targetBranch}
                  </code>
                  <span className="text-right text-sm text-ink-3">
                    <Ago at={change.updatedAt} />
                  </span>
                </li>
              ))}
            </RowList>
          )}
        </div>
      )}
    </Page>
  );
}
