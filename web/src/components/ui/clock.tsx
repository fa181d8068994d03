import { useEffect, useState } from 'react';
import { relative, wholeTime } from '../../text/format.ts';

/** The time, read again every `everyMs`. Milliseconds since 1970. */
export function useNow(everyMs = 1_000): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** Relative, with the absolute time on hover. */
export function Ago({ at, prefix = '' }: { at: string | number; prefix?: string }) {
  const distance = Math.abs(Date.now() - new Date(at).getTime());
  const now = useNow(distance < 90_000 ? 1_000 : 15_000);
  return (
    <time dateTime={new Date(at).toISOString()} title={wholeTime(at)} className="whitespace-nowrap">
      {prefix}
      {relative(at, now)}
    </time>
  );
}
