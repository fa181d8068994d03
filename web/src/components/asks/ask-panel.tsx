import { Link } from '@tanstack/react-router';
import type { AskView } from '../../../../contract/asks.ts';
import { useRun, useTask } from '../../api/queries.ts';
import { words } from '../../text/format.ts';
import { plainText } from '../../text/plain-text.ts';
import { ExactText } from '../exact-text.tsx';
import { InlineProse } from '../prose.tsx';
import { RecordingTag } from '../runs/run-badges.tsx';
import { Ago } from '../ui/clock.tsx';
import { type Mark, State } from '../ui/state-mark.tsx';
import { AskAction, commandOf, describeDefault } from './ask-action.tsx';
import { AskControls } from './ask-controls.tsx';

const kinds: Record<AskView['kind'], string> = {
  approval: 'Approval',
  clarification: 'Question',
  proposal: 'How to go on',
};

/** One ask, whole: who asks, what exactly, until when, and what can be said to it. */
export function AskPanel({ ask, active }: { ask: AskView; active: boolean }) {
  const task = useTask(ask.taskId);
  const run = useRun(ask.runId);
  return (
    <article aria-label={ask.question} className="grid gap-4 p-4 md:p-6">
      <header className="grid gap-1.5">
        <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1 text-sm text-ink-3">
          <AskState ask={ask} />
          <span>{kinds[ask.kind]}</span>
          {run.data?.recording === true && <RecordingTag />}
        </div>
        <h2 className="text-lg font-semibold break-words whitespace-pre-wrap">
          <InlineProse text={ask.question} />
        </h2>
        <p className="text-sm text-ink-2">
          {run.data?.agent ?? 'The agent'} on{' '}
          <Link
            to="/runs/$runId"
            params={{ runId: ask.runId }}
            className="text-accent underline underline-offset-2"
          >
            {task.data?.title ?? 'its task'}
          </Link>{' '}
          · asked <Ago at={ask.createdAt} />
        </p>
      </header>
      <AskAction ask={ask} />
      {ask.status === 'open' ? (
        <>
          <AskControls key={ask.id} ask={ask} active={active} />
          <p className="text-sm text-ink-3">
            For {ask.owner}. If nobody decides, it {describeDefault(ask)} <Ago at={ask.deadline} />.
            <br />
            Your decision holds for this action alone:{' '}
            <code title={ask.actionHash}>{ask.actionHash.slice(0, 16)}</code>
          </p>
        </>
      ) : (
        <Decided ask={ask} />
      )}
    </article>
  );
}

const marks: Record<AskView['status'], Mark> = {
  open: 'wait',
  decided: 'ok',
  expired: 'stop',
  withdrawn: 'stop',
};

export function AskState({ ask }: { ask: AskView }) {
  const denied = ask.status === 'decided' && ask.decision === 'deny';
  const word = ask.status === 'decided' ? decisionWord(ask.decision) : ask.status;
  return (
    <State mark={denied ? 'stop' : marks[ask.status]}>{ask.status === 'open' ? 'waits for you' : word}</State>
  );
}

const kept = { run: ', for the whole run', rule: ', and kept as a rule' };

function decisionWord(decision: AskView['decision']): string {
  if (decision === 'approve') return 'approved';
  return decision === 'deny' ? 'denied' : 'answered';
}

function Decided({ ask }: { ask: AskView }) {
  return (
    <div className="rounded-lg border border-line bg-sunken px-3.5 py-2.5">
      <p className="font-medium">
        {ask.status === 'decided' &&
          `${words(decisionWord(ask.decision))}${ask.input === null ? '' : ', with other arguments,'} by ${ask.decidedBy ?? 'somebody'}${ask.remember === null ? '' : kept[ask.remember]}`}
        {ask.status === 'expired' && 'Nobody decided in time; the default held.'}
        {ask.status === 'withdrawn' && 'Taken back: the run ended before anybody decided.'}
      </p>
      {ask.input !== null && (
        <pre className="my-1.5 rounded bg-panel px-2.5 py-2 text-sm">
          <ExactText text={commandOf(ask.input) ?? JSON.stringify(ask.input, null, 2)} />
        </pre>
      )}
      {ask.answer !== null && ask.answer !== '' && (
        <p className="break-words whitespace-pre-wrap text-ink-2">{plainText(ask.answer)}</p>
      )}
    </div>
  );
}
