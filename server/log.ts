import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * The process's log: one JSON line a record on stderr, so that stdout stays data.
 * @param redact blots out of each line what must not stand in a log
 */
export function openLog(level: string, redact: (line: string) => string = (line) => line): Logger {
  return pino(
    { level, base: { pid: process.pid }, hooks: { streamWrite: redact } },
    pino.destination({ dest: 2, sync: false }),
  );
}
