import type { ReactNode } from 'react';
import type { RunView } from '../../../../contract/runs.ts';
import type { CheckStep } from '../../../../contract/steps.ts';
import { useConnection } from '../../api/connection.ts';
import type { RunTranscript } from '../../api/run-transcript.ts';
import { money, tokens, words } from '../../text/format.ts';
import { type Mark, StateMark } from '../ui/state-mark.tsx';
import { PhaseBars, RunElapsed } from './run-badges.tsx';
import { coderPhases, describeRun, phaseIndex } from './run-state.ts';

/** Where the run stands in its playbook, its checks, and what it has used. */
export function RunRail({ run, transcript }: { run: RunView; transcript: RunTranscript }) {
  return (
    <aside
      aria-label="Where the run stands"
      className="hidden min-h-0 overflow-auto border-r border-line px-3 py-4 lg:block"
    >
      <Phases run={run} />
      <Checks checks={lastChecks(transcript)} />
      <dl className="mt-5 grid grid-cols-[1fr_auto] gap-x-2 gap-y-1.5 px-1.5 text-sm">
        <Figures run={run} />
      </dl>
    </aside>
  );
}

/** The same on narrow screens, in a line. */
export function RunStrip({ run }: { run: RunView }) {
  return (
    <div className="flex flex-none items-center gap-4 overflow-x-auto border-b border-line px-3.5 py-1.5 text-sm whitespace-nowrap lg:hidden">
      {run.kind === 'task' && run.endedAt === null && <PhaseBars run={run} />}
      <span>
        <RunElapsed run={run} />
      </span>
      <span>{run.steps} steps</span>
      <span>{tokens(run.budget?.spentTokens ?? 0)} tokens</span>
      <span>{money(run.budget?.spentMicros ?? 0)}</span>
    </div>
  );
}

function Phases({ run }: { run: RunView }) {
  const { mark } = describeRun(run, useConnection());
  if (run.kind !== 'task') return <p className="px-1.5 font-medium">{words(run.kind)}</p>;
  const index = phaseIndex(run);
  const marks = (place: number): Mark => {
    if (run.status === 'succeeded' || place < index) return 'done';
    return place === index ? mark : 'todo';
  };
  return (
    <ol aria-label="Phases" className="grid gap-0.5">
      {coderPhases.map((phase, place) => {
        const isCurrent = place === index && run.endedAt === null;
        return (
          <li
            key={phase}
            aria-current={isCurrent ? 'step' : undefined}
            className={`flex items-center gap-2 rounded-md px-1.5 py-1 ${
              isCurrent ? 'bg-accent-soft font-medium text-ink' : 'text-ink-2'
            }`}
          >
            <StateMark mark={marks(place)} />
            {words(phase)}
          </li>
        );
      })}
    </ol>
  );
}

function Checks({ checks }: { checks: CheckStep[] }) {
  if (checks.length === 0) return null;
  return (
    <div className="mt-5">
      <h2 className="px-1.5 text-xs text-ink-3">Checks</h2>
      <ul className="mt-1 grid gap-1">
        {checks.map((check) => (
          <li
            key={`${check.intent.where} ${check.intent.command}`}
            title={`${check.intent.command}: ${check.result?.outcome ?? 'running'}`}
            className="flex items-center gap-2 px-1.5 text-sm"
          >
            <StateMark mark={markOf(check)} />
            <span className="min-w-0 flex-1 truncate font-mono text-xs">{check.intent.command}</span>
            <span className="text-xs text-ink-3">{check.intent.where}</span>
            <span className="sr-only">{check.result?.outcome ?? 'running'}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function markOf(check: CheckStep): Mark {
  if (check.status === 'intended') return 'todo';
  return check.status === 'done' ? 'ok' : 'fail';
}

/** The newest of each check, by place and command, set-up aside. */
function lastChecks(transcript: RunTranscript): CheckStep[] {
  const checks = new Map<string, CheckStep>();
  for (const step of transcript.known()) {
    if (step.kind === 'check' && step.intent.where !== 'setup')
      checks.set(`${step.intent.where} ${step.intent.command}`, step);
  }
  return [...checks.values()].slice(-8);
}

function Figures({ run }: { run: RunView }) {
  const { budget } = run;
  const rows: [string, ReactNode][] = [
    [
      'Model',
      <span key="model" className="font-mono text-xs wrap-anywhere">
        {run.model.replace('/', '/\u200b')}
      </span>,
    ],
    ['Elapsed', <RunElapsed key="elapsed" run={run} />],
    ['Steps', run.steps.toLocaleString('en-US')],
    ['Tokens', tokens(budget?.spentTokens ?? 0)],
    [run.recording ? 'Cost, replayed' : 'Cost', money(budget?.spentMicros ?? 0)],
  ];
  if (budget !== null && budget.reservedMicros > 0) rows.push(['Reserved', money(budget.reservedMicros)]);
  if (budget !== null && budget.limitMicros !== null) rows.push(['Budget', money(budget.limitMicros)]);
  return rows.map(([name, value]) => (
    <div key={name} className="contents">
      <dt className="text-ink-3">{name}</dt>
      <dd className="text-right">{value}</dd>
    </div>
  ));
}
