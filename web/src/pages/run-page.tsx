import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import type { RunView } from '../../../contract/runs.ts';
import { useConnection } from '../api/connection.ts';
import { useCanAct, useRun, useTask } from '../api/queries.ts';
import type { RunTranscript } from '../api/run-transcript.ts';
import { useTranscript } from '../api/use-transcript.ts';
import { GuidanceBox } from '../components/runs/guidance-box.tsx';
import { LeaseLine, RecordingTag, RunStateMark, UnsafeTag } from '../components/runs/run-badges.tsx';
import { RunControls } from '../components/runs/run-controls.tsx';
import { RunRail, RunStrip } from '../components/runs/run-rail.tsx';
import { RunStanding } from '../components/runs/run-standing.tsx';
import { describeRun } from '../components/runs/run-state.ts';
import { Page } from '../components/shell/page.tsx';
import { StepDetail } from '../components/transcript/step-detail.tsx';
import { Transcript } from '../components/transcript/transcript.tsx';
import { TurnAnnouncer } from '../components/transcript/turn-announcer.tsx';
import { Dialog } from '../components/ui/dialog.tsx';
import { Failure, Loading } from '../components/ui/outcome.tsx';
import { useHotkeys } from '../components/ui/use-hotkeys.ts';
import { useMedia } from '../components/ui/use-media.ts';

export function RunPage() {
  const { runId } = useParams({ from: '/inside/runs/$runId' });
  return <LiveRun key={runId} runId={runId} />;
}

/** A run as it happens: where it stands, what it does, what can be said to it. */
function LiveRun({ runId }: { runId: string }) {
  const run = useRun(runId);
  const task = useTask(run.data?.taskId);
  const transcript = useTranscript(runId, run.data?.steps);
  const title = task.data?.title ?? 'Run';
  return (
    <Page
      title={title}
      scrolls={false}
      parent={{ to: '/tasks', title: 'Tasks' }}
      heading={
        <>
          <h1 className="line-clamp-2 min-w-0 text-base leading-tight font-semibold md:line-clamp-1 md:text-lg">
            {run.data === undefined ? (
              title
            ) : (
              <Link to="/tasks/$taskId" params={{ taskId: run.data.taskId }} className="hover:underline">
                {title}
              </Link>
            )}
          </h1>
          {run.data !== undefined && <RunHeading run={run.data} readAt={run.dataUpdatedAt} />}
        </>
      }
      actions={run.data === undefined ? undefined : <RunControls run={run.data} />}
    >
      {run.data === undefined && run.error !== null && (
        <Failure error={run.error} onRetry={() => void run.refetch()} />
      )}
      {run.isPending && run.error === null && <Loading rows={8} label="Reading the run" />}
      {run.data !== undefined && <RunBody run={run.data} transcript={transcript} />}
    </Page>
  );
}

function RunHeading({ run, readAt }: { run: RunView; readAt: number }) {
  return (
    <span className="flex items-center gap-2.5 text-sm whitespace-nowrap">
      <RunStateMark run={run} />
      {run.recording && <RecordingTag />}
      {run.sandbox === 'unsafe' && <UnsafeTag />}
      {run.lease !== null && (
        <span className="hidden text-ink-3 xl:inline">
          lease <LeaseLine run={run} confirmedAt={readAt} />
        </span>
      )}
    </span>
  );
}

function RunBody({ run, transcript }: { run: RunView; transcript: RunTranscript }) {
  const [selected, setSelected] = useState<number | null>(null);
  const isWide = useMedia('(min-width: 1100px)');
  const moving = describeRun(run, useConnection()).mark === 'run';
  const canAct = useCanAct();
  const close = () => setSelected(null);
  const move = (distance: number) =>
    setSelected((now) =>
      transcript.count === 0
        ? null
        : Math.max(1, Math.min(transcript.count, (now ?? transcript.count + 1) + distance)),
    );
  useHotkeys({ j: () => move(1), k: () => move(-1), escape: close });
  const step = selected === null ? undefined : transcript.step(selected);
  return (
    <div
      className={`grid min-h-0 flex-1 grid-rows-[minmax(0,1fr)] ${
        isWide && step !== undefined
          ? 'grid-cols-[184px_minmax(0,1fr)_minmax(380px,32%)]'
          : 'lg:grid-cols-[184px_minmax(0,1fr)]'
      }`}
    >
      <RunRail run={run} transcript={transcript} />
      <div className="flex min-h-0 min-w-0 flex-col">
        <RunStrip run={run} />
        <RunStanding run={run} />
        {transcript.failure !== null && (
          <p role="alert" className="border-b border-line bg-fail-soft px-4 py-1.5 text-sm text-fail">
            {transcript.failure}
          </p>
        )}
        {run.steps === 0 && transcript.count === 0 ? (
          <p className="flex-1 p-5 text-ink-3">
            {run.status === 'queued' ? 'A worker takes it as soon as one is free.' : 'No step yet.'}
          </p>
        ) : (
          <Transcript transcript={transcript} selected={selected} moving={moving} onSelect={setSelected} />
        )}
        <TurnAnnouncer transcript={transcript} />
        {run.endedAt === null && canAct && <GuidanceBox run={run} />}
      </div>
      {isWide && step !== undefined && (
        <aside
          aria-label="Details of the step"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
          tabIndex={0}
          className="min-h-0 overflow-auto border-l border-line bg-panel"
        >
          <StepDetail step={step} onClose={close} />
        </aside>
      )}
      {!isWide && (
        <Dialog open={step !== undefined} onClose={close} title="Details of the step" shape="sheet" hideTitle>
          <div className="overflow-auto">
            {step !== undefined && <StepDetail step={step} onClose={close} />}
          </div>
        </Dialog>
      )}
    </div>
  );
}
