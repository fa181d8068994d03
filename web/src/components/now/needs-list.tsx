import { Link } from '@tanstack/react-router';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { AskView } from '../../../../contract/asks.ts';
import type { ChangeView } from '../../../../contract/changes.ts';
import type { TaskView } from '../../../../contract/tasks.ts';
import { useRuns } from '../../api/queries.ts';
import { plural, shortCommit, span } from '../../text/format.ts';
import { plainText } from '../../text/plain-text.ts';
import { actionLine, describeDefault, isShortAction } from '../asks/ask-action.tsx';
import { AskControls } from '../asks/ask-controls.tsx';
import { ExactText } from '../exact-text.tsx';
import { InlineProse } from '../prose.tsx';
import { RunStateMark } from '../runs/run-badges.tsx';
import type { Need } from '../shell/needs-you.ts';
import { Button, buttonClass } from '../ui/button.tsx';
import { Ago } from '../ui/clock.tsx';
import { RowList } from '../ui/panel.tsx';
import { type Mark, StateMark } from '../ui/state-mark.tsx';
import { useHotkeys } from '../ui/use-hotkeys.ts';

interface NeedsListProps {
  needs: readonly Need[];
  titles: ReadonlyMap<string, string>;
  putAside: (id: string) => void;
  onOpen: (to: string) => void;
}

/** The inbox, decided in place: one is chosen, and the keys are meant for it. */
export function NeedsList({ needs, titles, putAside, onOpen }: NeedsListProps) {
  const [place, setPlace] = useState(0);
  const at = Math.min(place, needs.length - 1);
  const chosen = needs[at];
  useHotkeys({
    j: () => setPlace(Math.min(needs.length - 1, at + 1)),
    k: () => setPlace(Math.max(0, at - 1)),
    enter: () => chosen !== undefined && onOpen(addressOf(chosen)),
  });
  return (
    <RowList label="Needs you">
      {needs.map((need, index) => (
        <NeedRow key={need.id} mark={markOf(need)} chosen={index === at} onChoose={() => setPlace(index)}>
          {need.kind === 'ask' && (
            <AskNeed ask={need.ask} title={titles.get(need.ask.taskId)} active={index === at} />
          )}
          {need.kind === 'change' && <ChangeNeed change={need.change} />}
          {need.kind === 'failure' && <FailureNeed task={need.task} onPutAside={() => putAside(need.id)} />}
        </NeedRow>
      ))}
    </RowList>
  );
}

function addressOf(need: Need): string {
  if (need.kind === 'ask') return `/asks/${need.id}`;
  return need.kind === 'change' ? `/changes/${need.id}` : `/tasks/${need.id}`;
}

function markOf(need: Need): Mark {
  if (need.kind === 'ask') return 'wait';
  if (need.kind === 'failure') return 'fail';
  return need.change.receipt.verdict === 'passed' ? 'ok' : 'wait';
}

function NeedRow(props: { mark: Mark; chosen: boolean; onChoose: () => void; children: ReactNode }) {
  const { mark, chosen, onChoose, children } = props;
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (chosen) row.current?.scrollIntoView({ block: 'nearest' });
  }, [chosen]);
  return (
    <li
      ref={row}
      onFocus={onChoose}
      onMouseDown={onChoose}
      className={`flex items-start gap-2.5 px-3.5 py-3 ${chosen ? 'bg-wait-soft shadow-[inset_2px_0_var(--wait)]' : ''}`}
    >
      <StateMark mark={mark} className="mt-[3px] size-[15px]" />
      <div className="grid min-w-0 flex-1 gap-x-4 gap-y-2 lg:grid-cols-[minmax(0,1fr)_auto] lg:items-center lg:has-[form]:grid-cols-1">
        {children}
      </div>
    </li>
  );
}

const small = 'text-sm text-ink-3';

function AskNeed({ ask, title, active }: { ask: AskView; title: string | undefined; active: boolean }) {
  const action = actionLine(ask);
  const isShort = action === null || isShortAction(action);
  return (
    <>
      <div className="grid min-w-0 gap-1">
        <p className="break-words">
          <Link to="/asks/$askId" params={{ askId: ask.id }} className="font-medium hover:underline">
            <InlineProse text={ask.question} />
          </Link>
          {title !== undefined && <span className="text-ink-2"> · on “{title}”</span>}
        </p>
        {action !== null && (
          <code
            className={`w-fit max-w-full rounded bg-sunken px-1.5 py-0.5 text-sm ${isShort ? '' : 'line-clamp-4'}`}
          >
            <ExactText text={action} />
          </code>
        )}
        <p className={small}>
          asked <Ago at={ask.createdAt} /> · {describeDefault(ask)} <Ago at={ask.deadline} />
        </p>
      </div>
      {isShort ? (
        <AskControls ask={ask} active={active} compact />
      ) : (
        <Link to="/asks/$askId" params={{ askId: ask.id }} className={buttonClass('plain', 'w-fit')}>
          Read all of it
        </Link>
      )}
    </>
  );
}

function ChangeNeed({ change }: { change: ChangeView }) {
  const runs = useRuns(change.taskId);
  const last = runs.data?.find((run) => run.changeId === change.id && run.kind !== 'task');
  const { receipt } = change;
  const checks = receipt.checks.filter((check) => check.where !== 'base');
  const took = checks.reduce((sum, check) => sum + check.durationMs, 0);
  const commands = [...new Set(checks.map((check) => check.command))];
  return (
    <>
      <div className="grid min-w-0 gap-1">
        <p className="break-words">
          <span className="text-ink-2">Change ready: </span>
          <Link
            to="/changes/$changeId"
            params={{ changeId: change.id }}
            className="font-medium hover:underline"
          >
            {change.title}
          </Link>
        </p>
        <p className="text-ink-2">
          {receipt.verdict === 'passed' && commands.length > 0 ? (
            <>
              <code className="text-sm">{commands.join(', ')}</code> passed on{' '}
              <code className="text-sm">{shortCommit(change.commit)}</code> in a clean workspace ·{' '}
              {span(took)}
            </>
          ) : receipt.verdict === 'accepted_by_human' ? (
            `accepted without green checks by ${receipt.acceptedBy ?? 'somebody'}`
          ) : (
            'no check has run: look closely'
          )}
        </p>
        {last?.status === 'failed' && (
          <p className="break-words text-fail">
            {last.kind} failed: {plainText(last.outcome ?? 'its run says why')}
          </p>
        )}
        {last !== undefined && last.endedAt === null && (
          <p className="text-ink-2">
            <RunStateMark run={last}>{` · ${last.kind}`}</RunStateMark>
          </p>
        )}
        <p className={small}>
          ready <Ago at={change.createdAt} />
          {receipt.pinnedChanges.length > 0 && (
            <span className="text-wait">
              {' '}
              · touches {plural(receipt.pinnedChanges.length, 'existing test or check file')}
            </span>
          )}
        </p>
      </div>
      <Link
        to="/changes/$changeId"
        params={{ changeId: change.id }}
        className={buttonClass('plain', 'w-fit')}
      >
        Review
      </Link>
    </>
  );
}

function FailureNeed({ task, onPutAside }: { task: TaskView; onPutAside: () => void }) {
  const runs = useRuns(task.id);
  const last = runs.data?.find((run) => run.kind === 'task');
  return (
    <>
      <div className="grid min-w-0 gap-1">
        <p className="break-words">
          <span className="text-fail">Failed: </span>
          <Link to="/tasks/$taskId" params={{ taskId: task.id }} className="font-medium hover:underline">
            {task.title}
          </Link>
        </p>
        <p className="line-clamp-3 break-words text-ink-2">
          {plainText(last?.outcome ?? 'Its last run says why.')}
        </p>
        <p className={small}>
          <Ago at={task.updatedAt} />
        </p>
      </div>
      <div className="flex gap-1.5">
        <Link
          to={last === undefined ? '/tasks/$taskId' : '/runs/$runId'}
          params={last === undefined ? { taskId: task.id } : { runId: last.id }}
          className={buttonClass('plain')}
        >
          Look
        </Link>
        <Button look="ghost" onClick={onPutAside}>
          Put aside
        </Button>
      </div>
    </>
  );
}
