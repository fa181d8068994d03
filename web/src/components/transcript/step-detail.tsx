import { Download, X } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import type { Step } from '../../../../contract/steps.ts';
import { money, plural, span, tokens, wholeTime, words } from '../../text/format.ts';
import { parsePatch } from '../../text/parse-patch.ts';
import { plainText } from '../../text/plain-text.ts';
import { PatchLines } from '../diff/patch-lines.tsx';
import { ExactText } from '../exact-text.tsx';
import { Prose } from '../prose.tsx';
import { Button } from '../ui/button.tsx';

/** Everything that the journal holds of a step. */
export function StepDetail({ step, onClose }: { step: Step; onClose?: () => void }) {
  return (
    <div>
      <div className="sticky top-0 z-10 flex h-[42px] items-center gap-2 border-b border-line bg-panel px-4">
        <h2 className="text-sm font-semibold">Step {step.seq}</h2>
        <span className="text-sm text-ink-3">{step.kind}</span>
        {onClose !== undefined && (
          <button
            type="button"
            aria-label="Close the details"
            onClick={onClose}
            className="ml-auto grid size-7 place-items-center rounded-md text-ink-3 hover:bg-hover hover:text-ink"
          >
            <X size={15} aria-hidden="true" />
          </button>
        )}
      </div>
      <dl className="grid grid-cols-[92px_minmax(0,1fr)] gap-x-3 gap-y-1 px-4 py-3 text-sm">
        <Facts step={step} />
      </dl>
      <Contents step={step} />
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}

function Facts({ step }: { step: Step }) {
  const took = step.endedAt === null ? null : Date.parse(step.endedAt) - Date.parse(step.startedAt);
  return (
    <>
      <Fact name={step.kind === 'model' ? 'Model' : 'Name'}>
        <code>{step.name}</code>
      </Fact>
      <Fact name="Status">
        <span className={step.status === 'failed' ? 'text-fail' : ''}>{words(step.status)}</span>
        {step.error !== null && <span className="text-fail"> · {step.error.class}</span>}
      </Fact>
      {step.kind === 'tool' && (
        <Fact name="Effect">
          {step.intent.effect}
          {typeof step.result?.exitCode === 'number' && ` · exit ${step.result.exitCode}`}
        </Fact>
      )}
      {step.kind === 'tool' && (step.result?.taint ?? []).length > 0 && (
        <Fact name="Brought in">
          {(step.result?.taint ?? []).map(({ kind, source }) => `${kind}: ${source}`).join('; ')}
        </Fact>
      )}
      {step.kind === 'tool' && (step.result?.keptFrom ?? []).length > 0 && (
        <Fact name="Kept from">{(step.result?.keptFrom ?? []).map(({ host }) => host).join(', ')}</Fact>
      )}
      {step.usage !== null && (
        <Fact name="Tokens">
          {tokens(step.usage.input)} in, {tokens(step.usage.cachedInput)} of them cached ·{' '}
          {tokens(step.usage.output)} out
        </Fact>
      )}
      {step.costMicros !== null && <Fact name="Cost">{money(step.costMicros)}</Fact>}
      <Fact name="Began">{wholeTime(step.startedAt)}</Fact>
      {took !== null && <Fact name="Took">{span(took)}</Fact>}
      {step.snapshot !== null && (
        <Fact name="Snapshot">
          <code>{step.snapshot.slice(0, 12)}</code>
        </Fact>
      )}
    </>
  );
}

function Contents({ step }: { step: Step }) {
  const error = step.error !== null && (
    <Part title="Error">
      <Text text={step.error.message} bad />
    </Part>
  );
  if (step.kind === 'tool') {
    const { input } = step.intent;
    return (
      <>
        {step.result?.diff !== undefined && step.result.diff !== '' && (
          <Part title="Diff" flush>
            <Patch patch={step.result.diff} />
          </Part>
        )}
        <Part title="Arguments">
          <Arguments input={input} />
        </Part>
        {step.result !== null && step.result.output !== '' && (
          <Part title="Result" aside={<Whole artifact={step.result.artifact} />}>
            <Text text={step.result.output} bad={!step.result.ok} />
          </Part>
        )}
        {step.result === null && error}
      </>
    );
  }
  if (step.kind === 'model') {
    return (
      <>
        {step.result !== null && step.result.text !== '' && (
          <Part title="Text">
            <Prose text={step.result.text} />
          </Part>
        )}
        {step.result?.toolCalls.map((call) => (
          <Part key={call.id} title={`Calls ${call.name}`}>
            <Text text={prettyJson(call.argumentsText)} />
          </Part>
        ))}
        {error}
      </>
    );
  }
  if (step.kind === 'check') {
    return (
      <>
        <Part title="Command">
          <Text text={step.intent.command} />
        </Part>
        {step.result !== null && step.result.excerpt !== '' && (
          <Part title="Output" aside={<Whole artifact={step.result.artifact} />}>
            <Text text={step.result.excerpt} bad={step.status === 'failed'} />
          </Part>
        )}
        {error}
      </>
    );
  }
  if (step.kind === 'phase') return error || null;
  const text = step.kind === 'ask' ? step.intent.question : step.intent.text;
  return (
    <>
      <Part title="Text">
        <Prose text={text} />
      </Part>
      {step.kind === 'ask' && step.result !== null && (
        <Part title={`${words(step.result.decision)} by ${step.result.by}`}>
          <p className="break-words whitespace-pre-wrap">
            {plainText(step.result.answer) || 'without a word'}
          </p>
        </Part>
      )}
      {error}
    </>
  );
}

function Part(props: { title: string; children: ReactNode; aside?: ReactNode; flush?: boolean }) {
  const { title, children, aside, flush = false } = props;
  return (
    <section className="border-t border-line py-3">
      <div className="flex items-center gap-2 px-4 pb-1.5">
        <h3 className="text-sm font-medium text-ink-2">{title}</h3>
        <span className="ml-auto">{aside}</span>
      </div>
      <div className={flush ? '' : 'px-4'}>{children}</div>
    </section>
  );
}

function Arguments({ input }: { input: unknown }) {
  const command =
    typeof input === 'object' && input !== null && 'command' in input && typeof input.command === 'string'
      ? input.command
      : null;
  const text = typeof input === 'string' ? input : JSON.stringify(input, null, 2);
  return (
    <pre className="max-h-[50vh] overflow-auto rounded bg-sunken px-2.5 py-2 text-xs leading-normal">
      <ExactText text={command ?? text ?? ''} />
    </pre>
  );
}

function Patch({ patch }: { patch: string }) {
  const lines = useMemo(() => parsePatch(patch).flatMap((file) => file.lines), [patch]);
  return <PatchLines lines={lines} label="Diff of this step" />;
}

const mostCharacters = 20_000;

function Text({ text, bad = false }: { text: string; bad?: boolean }) {
  const [whole, setWhole] = useState(false);
  const plain = useMemo(() => plainText(text), [text]);
  const isLong = plain.length > mostCharacters;
  return (
    <>
      <pre
        className={`rounded px-2.5 py-2 text-xs leading-normal break-words whitespace-pre-wrap [overflow-wrap:anywhere] ${
          bad ? 'bg-fail-soft text-fail' : 'bg-sunken text-ink-2'
        }`}
      >
        {isLong && !whole ? `…${plain.slice(-mostCharacters)}` : plain}
      </pre>
      {isLong && !whole && (
        <Button className="mt-2" onClick={() => setWhole(true)}>
          Show all of {plural(plain.length, 'character')}
        </Button>
      )}
    </>
  );
}

function Whole({ artifact }: { artifact: string | null | undefined }) {
  if (artifact === null || artifact === undefined) return null;
  return (
    <a
      href={`/api/v1/artifacts/${artifact}/content`}
      download={`${artifact}.txt`}
      className="inline-flex items-center gap-1 text-sm text-accent hover:underline"
    >
      <Download size={13} aria-hidden="true" /> whole output
    </a>
  );
}

function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}
