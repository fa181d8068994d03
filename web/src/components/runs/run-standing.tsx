import { Link } from '@tanstack/react-router';
import type { RunView } from '../../../../contract/runs.ts';
import { useAsk, useChanges } from '../../api/queries.ts';
import { plainText } from '../../text/plain-text.ts';
import { AskAction } from '../asks/ask-action.tsx';
import { AskControls } from '../asks/ask-controls.tsx';
import { InlineProse } from '../prose.tsx';
import { buttonClass } from '../ui/button.tsx';
import { StateMark } from '../ui/state-mark.tsx';
import { WaitingLine } from './waiting-line.tsx';

/** Above the transcript: why the run stands, or what came of it. */
export function RunStanding({ run }: { run: RunView }) {
  if (run.endedAt !== null) return <Outcome run={run} />;
  if (run.waiting === null) return null;
  if (run.waiting.on === 'ask' && run.waiting.ref !== null)
    return <OpenAsk askId={run.waiting.ref} run={run} />;
  return (
    <div className="flex items-start gap-2.5 border-b border-line bg-wait-soft px-3.5 py-2 md:px-4">
      <StateMark mark={run.status === 'paused' ? 'pause' : 'wait'} className="mt-[3px] size-[15px]" />
      <p className="min-w-0 break-words">
        <WaitingLine waiting={run.waiting} />
      </p>
    </div>
  );
}

function OpenAsk({ askId, run }: { askId: string; run: RunView }) {
  const ask = useAsk(askId);
  if (ask.data?.status !== 'open')
    return run.waiting === null ? null : (
      <p className="border-b border-line bg-wait-soft px-3.5 py-2 md:px-4">
        <WaitingLine waiting={run.waiting} />
      </p>
    );
  return (
    <section
      aria-label="The run asks"
      className="max-h-[60%] flex-none overflow-auto border-b border-line bg-wait-soft px-3.5 py-3 md:px-4"
    >
      <div className="flex items-start gap-2.5">
        <StateMark mark="wait" className="mt-[3px] size-[15px]" />
        <div className="grid min-w-0 flex-1 gap-2.5">
          <p className="font-medium break-words whitespace-pre-wrap">
            <InlineProse text={ask.data.question} />
          </p>
          <AskAction ask={ask.data} />
          <AskControls key={ask.data.id} ask={ask.data} active />
          {run.waiting !== null && (
            <p className="text-sm text-ink-3">
              For {run.waiting.owner}.{' '}
              <Link to="/asks/$askId" params={{ askId }} className="text-accent underline underline-offset-2">
                Open the ask
              </Link>
            </p>
          )}
        </div>
      </div>
    </section>
  );
}

function Outcome({ run }: { run: RunView }) {
  const changes = useChanges(run.taskId);
  const delivered =
    run.kind === 'task'
      ? changes.data?.find((change) => change.runId === run.id)
      : changes.data?.find((change) => change.id === run.changeId);
  const mark = run.status === 'succeeded' ? 'ok' : run.status === 'failed' ? 'fail' : 'stop';
  const grounds = { ok: 'bg-ok-soft', fail: 'bg-fail-soft', stop: 'bg-sunken' };
  return (
    <div
      className={`flex flex-none flex-wrap items-center gap-x-3 gap-y-2 border-b border-line px-3.5 py-2 md:px-4 ${grounds[mark]}`}
    >
      <StateMark mark={mark} className="size-[15px]" />
      <p className="min-w-0 flex-1 basis-60 break-words whitespace-pre-wrap">
        {plainText(run.outcome ?? `The run has ${run.status}.`)}
      </p>
      {delivered !== undefined && (
        <Link to="/changes/$changeId" params={{ changeId: delivered.id }} className={buttonClass('primary')}>
          {delivered.status === 'ready' ? 'Review the change' : 'The change'}
        </Link>
      )}
    </div>
  );
}
