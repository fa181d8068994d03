import { Link, useParams } from '@tanstack/react-router';
import { type RefObject, useRef } from 'react';
import type { ChangeView } from '../../../contract/changes.ts';
import { useChange, useDiff, useRun, useTask } from '../api/queries.ts';
import { ChangeActions } from '../components/changes/change-actions.tsx';
import { ChangeRuns } from '../components/changes/change-runs.tsx';
import { ChangeState } from '../components/changes/change-state.tsx';
import { ReceiptPanel } from '../components/changes/receipt-panel.tsx';
import { DiffBrowser, LineCounts } from '../components/diff/diff-browser.tsx';
import { Prose } from '../components/prose.tsx';
import { RecordingTag } from '../components/runs/run-badges.tsx';
import { Page } from '../components/shell/page.tsx';
import { Ago } from '../components/ui/clock.tsx';
import { Failure, Loading } from '../components/ui/outcome.tsx';
import { Code, Panel, Section } from '../components/ui/panel.tsx';
import { plural, repositoryName, shortCommit } from '../text/format.ts';

/** A change, its evidence, and what can be done with it. */
export function ChangePage() {
  const { changeId } = useParams({ from: '/inside/changes/$changeId' });
  const scroller = useRef<HTMLElement>(null);
  const change = useChange(changeId);
  return (
    <Page
      title={change.data?.title ?? 'Change'}
      parent={{ to: '/changes', title: 'Changes' }}
      scroller={scroller}
      heading={
        <>
          <h1 className="line-clamp-2 min-w-0 text-base leading-tight font-semibold md:line-clamp-1 md:text-lg">
            {change.data?.title ?? 'Change'}
          </h1>
          {change.data !== undefined && <ChangeState status={change.data.status} />}
        </>
      }
      actions={change.data === undefined ? undefined : <ChangeActions change={change.data} />}
    >
      {change.data === undefined && change.error !== null && (
        <Failure error={change.error} onRetry={() => void change.refetch()} />
      )}
      {change.isPending && change.error === null && <Loading label="Reading the change" />}
      {change.data !== undefined && (
        <div className="mx-auto w-full max-w-[1120px]">
          <ChangeRuns change={change.data} />
          <Description change={change.data} />
          <Section title="Evidence">
            <ReceiptPanel receipt={change.data.receipt} />
          </Section>
          <Diff key={changeId} changeId={changeId} scroller={scroller} />
        </div>
      )}
    </Page>
  );
}

function Description({ change }: { change: ChangeView }) {
  const task = useTask(change.taskId);
  const run = useRun(change.runId);
  const link = 'text-accent underline underline-offset-2';
  return (
    <Section
      title="What it does"
      note={
        <>
          {run.data?.agent} in{' '}
          <Link to="/runs/$runId" params={{ runId: change.runId }} className={link}>
            its run
          </Link>{' '}
          for{' '}
          <Link to="/tasks/$taskId" params={{ taskId: change.taskId }} className={link}>
            {task.data?.title ?? 'its task'}
          </Link>{' '}
          · <Ago at={change.createdAt} />
        </>
      }
      aside={run.data?.recording === true && <RecordingTag />}
    >
      <Panel className="px-4 py-3">
        <Prose text={change.description || 'It has no description.'} />
        <p className="mt-3 border-t border-line pt-2.5 text-sm break-words text-ink-3">
          <Code>{shortCommit(change.commit)}</Code> onto <Code>{change.targetBranch}</Code> of{' '}
          <span title={change.repository}>{repositoryName(change.repository)}</span>, made from{' '}
          <Code>{shortCommit(change.baseCommit)}</Code>
          {change.mergedCommit !== null && (
            <>
              , merged as <Code>{shortCommit(change.mergedCommit)}</Code>
            </>
          )}
          {change.revertCommit !== null && (
            <>
              , taken out again by <Code>{shortCommit(change.revertCommit)}</Code>
            </>
          )}
          {change.supersedes !== null && (
            <>
              {' '}
              · the answer to{' '}
              <Link to="/changes/$changeId" params={{ changeId: change.supersedes }} className={link}>
                a change that was sent back
              </Link>
            </>
          )}
        </p>
      </Panel>
    </Section>
  );
}

function Diff({ changeId, scroller }: { changeId: string; scroller: RefObject<HTMLElement | null> }) {
  const diff = useDiff(changeId);
  const files = diff.data?.files ?? [];
  const total = {
    additions: files.reduce((sum, file) => sum + file.additions, 0),
    deletions: files.reduce((sum, file) => sum + file.deletions, 0),
  };
  return (
    <Section
      title="Diff"
      note={diff.data !== undefined && plural(files.length, 'file')}
      aside={diff.data !== undefined && <LineCounts file={total} />}
    >
      {diff.data === undefined && diff.error !== null && (
        <Failure error={diff.error} onRetry={() => void diff.refetch()} />
      )}
      {diff.isPending && diff.error === null && <Loading rows={6} label="Reading the diff" />}
      {diff.data !== undefined && <DiffBrowser diff={diff.data} scroller={scroller} />}
    </Section>
  );
}
