import { type Logger, pino } from 'pino';

export type { Logger };

/** The process's log: one JSON line a record on stderr, so that stdout stays data. */
export function openLog(level: string): Logger {
  return pino({ level, base: { pid: process.pid } }, pino.destination({ dest: 2, sync: false }));
}
