import { Link } from '@tanstack/react-router';
import { memo, type ReactNode } from 'react';
import type { AskStep, CheckStep, ModelStep, Step, ToolStep } from '../../../../contract/steps.ts';
import type { Placeholder } from '../../api/run-transcript.ts';
import { clockTime, money, span, words } from '../../text/format.ts';
import { plainText } from '../../text/plain-text.ts';
import { InlineProse, Prose } from '../prose.tsx';
import { type Mark, StateMark } from '../ui/state-mark.tsx';
import { countDiff, describeTool, lastLines } from './describe-tool.ts';

interface RowProps {
  seq: number;
  step: Step | undefined;
  placeholder: Placeholder | undefined;
  live: string;
  selected: boolean;
  /** False where nobody drives the run: then nothing turns. */
  moving: boolean;
  onSelect: (seq: number) => void;
}

/** One step of the transcript: everything in it is text. */
export const StepRow = memo(function StepRow(props: RowProps) {
  const { seq, step, placeholder, live, selected, moving, onSelect } = props;
  if (step === undefined) return <Unread seq={seq} placeholder={placeholder} live={live} moving={moving} />;
  if (step.kind === 'phase') return <PhaseHead name={step.name} at={step.startedAt} />;
  return (
    <div
      className={`grid grid-cols-[18px_minmax(0,1fr)_auto] items-start gap-x-2 border-l-2 px-3.5 py-[5px] md:grid-cols-[58px_18px_minmax(0,1fr)_auto] md:px-4 ${
        selected ? 'border-accent bg-accent-soft' : 'border-transparent'
      }`}
    >
      <time dateTime={step.startedAt} className="hidden pt-[3px] font-mono text-xs text-ink-3 md:block">
        {clockTime(step.startedAt)}
      </time>
      <StateMark mark={markOf(step, moving)} className="mt-1 size-[13px]" />
      <div className="min-w-0">
        <StepBody step={step} live={live} moving={moving} onSelect={() => onSelect(seq)} />
      </div>
      <DetailsByPointer cost={costOf(step)} onSelect={() => onSelect(seq)} />
    </div>
  );
});

/** Opens the details of any step for a pointer; the keyboard moves through the steps by J and K instead. */
function DetailsByPointer({ cost, onSelect }: { cost: string; onSelect: () => void }) {
  if (cost === '') return <span />;
  return (
    <button
      type="button"
      tabIndex={-1}
      title="Details of this step"
      onClick={onSelect}
      className="pt-[3px] font-mono text-xs whitespace-nowrap text-ink-3 hover:underline hover:underline-offset-4"
    >
      {cost}
    </button>
  );
}

function markOf(step: Step, moving: boolean): Mark {
  if (step.status === 'failed') return 'fail';
  if (step.status === 'in_doubt') return 'unknown';
  if (step.status === 'intended') return step.kind === 'ask' ? 'wait' : moving ? 'run' : 'todo';
  if (step.kind === 'ask') return step.result?.decision === 'deny' ? 'stop' : 'ok';
  if (step.kind === 'guidance') return 'you';
  return 'done';
}

function costOf(step: Step): string {
  if (step.kind === 'model' && step.costMicros !== null) return money(step.costMicros);
  if (step.endedAt === null || step.kind === 'guidance' || step.kind === 'note') return '';
  return span(Date.parse(step.endedAt) - Date.parse(step.startedAt));
}

function PhaseHead({ name, at }: { name: string; at: string }) {
  return (
    <div className="flex items-center gap-3 px-3.5 pt-4 pb-1.5 md:px-4">
      <h2 className="text-sm font-semibold">{words(name)}</h2>
      <span className="h-px flex-1 bg-line" />
      <time dateTime={at} className="font-mono text-xs text-ink-3">
        {clockTime(at)}
      </time>
    </div>
  );
}

function Unread(props: { seq: number; placeholder: Placeholder | undefined; live: string; moving: boolean }) {
  const { placeholder, live, moving } = props;
  return (
    <div className="grid min-h-7 grid-cols-[18px_minmax(0,1fr)] gap-x-2 px-3.5 py-[5px] md:grid-cols-[58px_18px_minmax(0,1fr)] md:px-4">
      <span className="hidden md:block" />
      <StateMark mark={placeholder !== undefined && moving ? 'run' : 'todo'} className="mt-1 size-[13px]" />
      {live !== '' ? (
        <Prose text={live} className="max-w-[78ch]" />
      ) : (
        <span className="text-ink-3">{placeholder === undefined ? '…' : placeholder.name}</span>
      )}
    </div>
  );
}

function StepBody(props: { step: Step; live: string; moving: boolean; onSelect: () => void }) {
  const { step, live, moving, onSelect } = props;
  switch (step.kind) {
    case 'model':
      return <ModelBody step={step} live={live} moving={moving} onSelect={onSelect} />;
    case 'tool':
      return <ToolBody step={step} onSelect={onSelect} />;
    case 'ask':
      return <AskBody step={step} onSelect={onSelect} />;
    case 'check':
      return <CheckBody step={step} onSelect={onSelect} />;
    case 'guidance':
      return (
        <p className="break-words whitespace-pre-wrap">
          <span className="font-medium">{step.intent.from}:</span> {plainText(step.intent.text)}
        </p>
      );
    case 'note':
      return (
        <p className="break-words whitespace-pre-wrap text-ink-2">
          <span className="text-ink-3">Note: </span>
          {plainText(step.intent.text)}
        </p>
      );
    case 'compaction':
      return <p className="text-ink-2">Earlier steps were summed up for the model.</p>;
    case 'phase':
      return null;
  }
}

/** The line that opens the details. */
function Opener({ onSelect, children }: { onSelect: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      onClick={onSelect}
      className="flex w-full min-w-0 items-baseline gap-2 rounded-sm text-left font-mono text-sm hover:underline hover:decoration-line-strong hover:underline-offset-4"
    >
      {children}
    </button>
  );
}

function ErrorLine({ step }: { step: Step }) {
  if (step.error === null) return null;
  return (
    <p className="mt-0.5 break-words whitespace-pre-wrap text-fail">
      <span className="font-mono text-sm font-medium">{step.error.class}</span>{' '}
      {lastLines(plainText(step.error.message), 6)}
    </p>
  );
}

function ModelBody(props: { step: ModelStep; live: string; moving: boolean; onSelect: () => void }) {
  const { step, live, moving, onSelect } = props;
  const text = step.result?.text ?? live;
  return (
    <>
      {text !== '' && <Prose text={text} className="max-w-[78ch]" />}
      {step.status === 'intended' && text === '' && (
        <span className="text-ink-3">{moving ? 'Thinking…' : 'The model had not answered yet.'}</span>
      )}
      {text === '' && step.status !== 'intended' && (
        <Opener onSelect={onSelect}>
          <span className="text-ink-3">
            model · {step.result === null ? 'no answer' : callCount(step.result.toolCalls.length)}
          </span>
        </Opener>
      )}
      <ErrorLine step={step} />
    </>
  );
}

function callCount(count: number): string {
  if (count === 0) return 'said nothing';
  return count === 1 ? 'one tool call' : `${count} tool calls`;
}

function ToolBody({ step, onSelect }: { step: ToolStep; onSelect: () => void }) {
  const counts = countDiff(step);
  const exit = step.result?.exitCode;
  const failed = step.status === 'failed' || step.status === 'in_doubt';
  const output = plainText(step.result?.output ?? step.error?.message ?? '');
  return (
    <>
      <Opener onSelect={onSelect}>
        <span className="shrink-0">{step.name}</span>
        <span className="min-w-0 truncate text-ink-2">{describeTool(step.name, step.intent.input)}</span>
        {counts !== null && (
          <span className="shrink-0">
            <span className="text-ok">+{counts.added}</span>{' '}
            <span className="text-fail">−{counts.removed}</span>
          </span>
        )}
        <TaintMarks step={step} />
        {failed && (
          <span className="shrink-0 text-fail">
            {typeof exit === 'number' ? `exit ${exit}` : (step.error?.class ?? step.status.replace('_', ' '))}
          </span>
        )}
      </Opener>
      {failed && output !== '' && <Output text={lastLines(output, 8)} bad />}
    </>
  );
}

/** What the call brought into the run: private data, or words that others may have written. */
function TaintMarks({ step }: { step: ToolStep }) {
  const taint = step.result?.taint ?? [];
  const kinds = [...new Set(taint.map(({ kind }) => kind))];
  return kinds.map((kind) => (
    <span
      key={kind}
      className="shrink-0 rounded border border-line px-1 text-xs text-ink-3"
      title={`${kind}: ${taint
        .filter((one) => one.kind === kind)
        .map(({ source }) => source)
        .join(', ')}`}
    >
      {kind}
    </span>
  ));
}

function Output({ text, bad = false }: { text: string; bad?: boolean }) {
  return (
    <pre
      className={`mt-1 mb-0.5 overflow-hidden rounded px-2 py-1.5 text-xs leading-normal break-words whitespace-pre-wrap ${
        bad ? 'bg-fail-soft text-fail' : 'bg-sunken text-ink-2'
      }`}
    >
      {text}
    </pre>
  );
}

function AskBody({ step, onSelect }: { step: AskStep; onSelect: () => void }) {
  const { result } = step;
  return (
    <>
      <button type="button" onClick={onSelect} className="text-left font-medium break-words hover:underline">
        <InlineProse text={step.intent.question} />
      </button>
      {result === null ? (
        <p>
          <Link
            to="/asks/$askId"
            params={{ askId: step.intent.askId }}
            className="text-accent underline underline-offset-2"
          >
            Decide
          </Link>
        </p>
      ) : (
        <p className="break-words whitespace-pre-wrap text-ink-2">
          {result.decision} by {result.by}
          {result.answer === '' ? '' : `: ${plainText(result.answer)}`}
        </p>
      )}
    </>
  );
}

const places: Record<CheckStep['intent']['where'], string> = {
  setup: 'set-up',
  base: 'check on the base',
  change: 'check on the change',
  pinned: 'check under the base’s tests',
};

function CheckBody({ step, onSelect }: { step: CheckStep; onSelect: () => void }) {
  const { result } = step;
  const red = step.status === 'failed';
  return (
    <>
      <Opener onSelect={onSelect}>
        <span className="shrink-0 font-sans text-ink-2">{places[step.intent.where]}</span>
        <span className="min-w-0 truncate">{step.intent.command}</span>
        {result !== null && (
          <span className={`shrink-0 ${red ? 'text-fail' : 'text-ok'}`}>
            {result.outcome.replaceAll('_', ' ')}
          </span>
        )}
      </Opener>
      {red && result !== null && <Output text={lastLines(plainText(result.excerpt), 8)} bad />}
      {red && <ErrorLine step={step} />}
    </>
  );
}
