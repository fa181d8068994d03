import { ChevronRight, Download, TriangleAlert } from 'lucide-react';
import { useState } from 'react';
import type { CheckReceipt, Receipt } from '../../../../contract/changes.ts';
import { plural, shortCommit, span } from '../../text/format.ts';
import { plainText } from '../../text/plain-text.ts';
import { Panel } from '../ui/panel.tsx';
import { State, StateMark } from '../ui/state-mark.tsx';

const places: Record<CheckReceipt['where'], string> = {
  base: 'before the change',
  change: 'on the change',
  pinned: 'on the change, under the base’s own tests',
};

/** What was run, where, and what came of it: by the control plane, not by the agent. */
export function ReceiptPanel({ receipt }: { receipt: Receipt }) {
  return (
    <Panel className="overflow-hidden">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2.5">
        <Verdict receipt={receipt} />
        <span className="text-sm text-ink-3">
          in clean workspaces without network, on <code>{shortCommit(receipt.commit)}</code>
        </span>
      </div>
      {receipt.pinnedChanges.length > 0 && <PinnedChanges receipt={receipt} />}
      <ul aria-label="Checks" className="divide-y divide-line border-t border-line">
        {receipt.checks.map((check, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a receipt never changes
          <CheckRow key={index} check={check} />
        ))}
        {receipt.checks.length === 0 && (
          <li className="px-4 py-3 text-ink-2">No check has run: none was given, and none was found.</li>
        )}
      </ul>
    </Panel>
  );
}

function Verdict({ receipt }: { receipt: Receipt }) {
  if (receipt.verdict === 'passed') return <State mark="ok">every check passed</State>;
  if (receipt.verdict === 'accepted_by_human')
    return <State mark="wait">accepted by {receipt.acceptedBy ?? 'somebody'} without green checks</State>;
  return <State mark="wait">not checked</State>;
}

/** The agent has changed what judges it: a person must look. */
function PinnedChanges({ receipt }: { receipt: Receipt }) {
  return (
    <div className="border-t border-line bg-wait-soft px-4 py-2.5">
      <p className="flex items-start gap-2 font-medium text-wait">
        <TriangleAlert size={15} aria-hidden="true" className="mt-[3px] shrink-0" />
        It changes {plural(receipt.pinnedChanges.length, 'file')} that judge it. Look at{' '}
        {receipt.pinnedChanges.length === 1 ? 'it' : 'them'} before you merge.
      </p>
      <ul className="mt-1 ml-[23px] grid gap-0.5">
        {receipt.pinnedChanges.map(({ path, status }) => (
          <li key={path} className="text-sm break-all">
            <code>{path}</code> <span className="text-ink-2">{status}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function CheckRow({ check }: { check: CheckReceipt }) {
  const isRed = check.outcome !== 'passed';
  const [open, setOpen] = useState(isRed && check.where !== 'base');
  return (
    <li>
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        className="flex w-full flex-wrap items-center gap-x-3 gap-y-0.5 px-4 py-2 text-left hover:bg-hover"
      >
        <ChevronRight
          size={14}
          aria-hidden="true"
          className={`shrink-0 text-ink-3 transition-transform ${open ? 'rotate-90' : ''}`}
        />
        <StateMark mark={isRed ? 'fail' : 'ok'} />
        <code className="min-w-0 text-sm break-all">{check.command}</code>
        <span className="text-sm text-ink-2">{places[check.where]}</span>
        <span className="ml-auto text-sm whitespace-nowrap text-ink-3">
          <span className={isRed ? 'text-fail' : ''}>
            {check.outcome.replaceAll('_', ' ')}
            {check.exitCode === null ? '' : `, exit ${check.exitCode}`}
          </span>{' '}
          · {span(check.durationMs)}
        </span>
      </button>
      {open && (
        <div className="px-4 pb-3 md:pl-11">
          <section
            aria-label={`Output of ${check.command}`}
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
            tabIndex={0}
            className={`max-h-80 overflow-auto rounded ${isRed ? 'bg-fail-soft text-fail' : 'bg-sunken text-ink-2'}`}
          >
            <pre className="px-3 py-2 text-xs leading-normal break-words whitespace-pre-wrap">
              {plainText(check.excerpt).trim() || 'It wrote nothing.'}
            </pre>
          </section>
          <p className="mt-1.5 flex flex-wrap gap-x-4 text-sm text-ink-3">
            <span>
              commit <code>{shortCommit(check.commit)}</code>
            </span>
            <span>
              set-up <code>{check.setupKey}</code>
            </span>
            {check.artifact !== null && (
              <a
                href={`/api/v1/artifacts/${check.artifact}/content`}
                download={`${check.artifact}.txt`}
                className="inline-flex items-center gap-1 text-accent hover:underline"
              >
                <Download size={13} aria-hidden="true" /> whole output
              </a>
            )}
          </p>
        </div>
      )}
    </li>
  );
}
