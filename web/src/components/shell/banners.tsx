import { useConnection } from '../../api/connection.ts';
import { useStatus } from '../../api/queries.ts';
import { clockTime, elapsed } from '../../text/format.ts';
import { Button } from '../ui/button.tsx';
import { Ago, useNow } from '../ui/clock.tsx';
import { InlineFailure } from '../ui/outcome.tsx';
import { StateMark } from '../ui/state-mark.tsx';
import { useHalt } from './halt-switch.tsx';

/** What is true of everything on the page: no connection, everything halted, commands without walls. */
export function Banners() {
  return (
    <>
      <LostBanner />
      <HaltBanner />
      <UnsafeBanner />
    </>
  );
}

function LostBanner() {
  const connection = useConnection();
  const now = useNow();
  if (connection.phase !== 'lost') return null;
  return (
    <div
      role="alert"
      className="flex items-start gap-2.5 border-b border-line bg-wait-soft px-3.5 py-2 md:px-5"
    >
      <StateMark mark="unknown" className="mt-[3px] size-[15px]" />
      <p className="min-w-0">
        <strong className="font-semibold text-wait">Connection lost</strong> since{' '}
        {clockTime(connection.since)} ({elapsed(now - connection.since)}). What you see is the last that this
        page was told; whether anything runs is not known. Trying again.
      </p>
    </div>
  );
}

function HaltBanner() {
  const status = useStatus();
  const { release } = useHalt();
  const halted = status.data?.halted ?? null;
  if (halted === null) return null;
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center gap-x-3 gap-y-1.5 border-b border-line bg-fail-soft px-3.5 py-2 md:px-5"
    >
      <StateMark mark="stop" className="size-[15px]" />
      <p className="min-w-0 flex-1">
        <strong className="font-semibold text-fail">Everything is stopped</strong> by {halted.by},{' '}
        <Ago at={halted.at} />
        {halted.reason === '' ? '' : `: ${halted.reason}`}. No run starts until it is released.
      </p>
      <Button busy={release.isPending} onClick={() => release.mutate()}>
        Release
      </Button>
      <InlineFailure error={release.error} />
    </div>
  );
}

function UnsafeBanner() {
  const status = useStatus();
  const unsafe = status.data?.workers.filter((worker) => worker.sandbox === 'unsafe') ?? [];
  if (unsafe.length === 0) return null;
  return (
    <div
      role="alert"
      className="flex items-start gap-2.5 border-b border-line bg-fail-soft px-3.5 py-2 md:px-5"
    >
      <StateMark mark="fail" className="mt-[3px] size-[15px]" />
      <p>
        <strong className="font-semibold text-fail">No sandbox.</strong> This server was started with
        <code> --unsafe-no-sandbox</code>: what agents run can reach everything that its user can reach.
      </p>
    </div>
  );
}
