import type { RunView } from '../../../../contract/runs.ts';
import { useConnection } from '../../api/connection.ts';
import { useParts } from '../../api/parts.tsx';
import { elapsed, wholeTime } from '../../text/format.ts';
import { useNow } from '../ui/clock.tsx';
import { State } from '../ui/state-mark.tsx';
import { coderPhases, describeRun, phaseIndex } from './run-state.ts';

export function RunStateMark({ run, children }: { run: RunView; children?: string }) {
  const { mark, word } = describeRun(run, useConnection());
  return (
    <State mark={mark}>
      {word}
      {children}
    </State>
  );
}

/** Said wherever a run of a recorded model is shown. */
export function RecordingTag() {
  return (
    <span
      title="The model is a recording: its answers are replayed, everything else is real."
      className="rounded border border-dashed border-line-strong px-1 text-xs whitespace-nowrap text-ink-2"
    >
      recording
    </span>
  );
}

export function UnsafeTag() {
  return (
    <span className="rounded bg-fail-soft px-1 text-xs font-medium whitespace-nowrap text-fail">
      no sandbox
    </span>
  );
}

/** Where a run stands in its playbook, as bars and a word. */
export function PhaseBars({ run }: { run: RunView }) {
  const index = phaseIndex(run);
  return (
    <span className="inline-flex items-center gap-2 whitespace-nowrap">
      <span className="inline-flex gap-[3px]" aria-hidden="true">
        {coderPhases.map((name, place) => (
          <i
            key={name}
            className={`h-1 w-3 rounded-sm ${place < index ? 'bg-ink-2' : place === index ? 'bg-run' : 'bg-line-control'}`}
          />
        ))}
      </span>
      <span className="text-ink-2">{(coderPhases[index] ?? run.phase).replaceAll('_', ' ')}</span>
    </span>
  );
}

/**
 * Who holds the run and when it was last heard of: an event, a word of its model, or the server saying that
 * the lease holds.
 * @param confirmedAt when the server last said so, milliseconds since 1970
 */
export function LeaseLine({ run, confirmedAt }: { run: RunView; confirmedAt: number }) {
  const { socket } = useParts();
  const connection = useConnection();
  const now = useNow();
  if (run.lease === null) return <span className="text-ink-3">no lease</span>;
  if (connection.phase === 'lost') return <span className="text-wait">unknown</span>;
  const heardAt = Math.max(confirmedAt, socket.newsOf(run.id) ?? 0);
  return (
    <span
      className="whitespace-nowrap text-ink-3"
      title={`Lease ${run.lease.token} of ${run.lease.worker}, last heard of ${wholeTime(heardAt)}`}
    >
      {run.lease.worker.slice(-6)} · {elapsed(Math.max(0, now - heardAt))} ago
    </span>
  );
}

/** How long it took, or takes; not counted up while nobody knows whether it runs. */
export function RunElapsed({ run }: { run: RunView }) {
  const now = useNow();
  const isLost = useConnection().phase === 'lost';
  if (run.endedAt === null && isLost) return <span title="Not known while the connection is lost">?</span>;
  const from = Date.parse(run.startedAt ?? run.createdAt);
  return <>{elapsed((run.endedAt === null ? now : Date.parse(run.endedAt)) - from)}</>;
}
