import type { QueryClient } from '@tanstack/react-query';
import type { EventSocket } from './event-socket.ts';
import { keysTouchedBy, type QueryKey } from './touched-keys.ts';

const soonMs = 120;
const laterMs = 1_000;

/** Reads again what events have made stale, in batches. @returns how to stop */
export function followEvents(socket: EventSocket, queries: QueryClient): () => void {
  const stale = new Map<string, QueryKey>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let dueAt = Number.POSITIVE_INFINITY;
  const refresh = () => {
    timer = undefined;
    dueAt = Number.POSITIVE_INFINITY;
    const keys = [...stale.values()];
    stale.clear();
    for (const queryKey of keys) void queries.invalidateQueries({ queryKey });
  };
  const schedule = (delay: number) => {
    const due = Date.now() + delay;
    if (due >= dueAt) return;
    dueAt = due;
    clearTimeout(timer);
    timer = setTimeout(refresh, delay);
  };
  const readAllAgain = () => {
    void queries.invalidateQueries();
  };
  const silence = socket.listen({
    hello: readAllAgain,
    unknown: readAllAgain,
    event: (event) => {
      const { keys, soon } = keysTouchedBy(event);
      for (const key of keys) stale.set(key.join('/'), key);
      schedule(soon ? soonMs : laterMs);
    },
  });
  return () => {
    silence();
    clearTimeout(timer);
  };
}
