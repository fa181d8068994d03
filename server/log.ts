import { type Logger, pino } from 'pino';
import { currentTrace } from './trace-context.ts';

export type { Logger };

/** As pino numbers its levels. */
const errorLevel = 50;

/** Told of each error that is logged with its `error`; the identifiers among the record's fields are `where`. */
export type ReportFault = (fault: Error, where: Record<string, string>) => void;

/**
 * The process's log: one JSON line a record on stderr, so that stdout stays data.
 * @param redact blots out of each line what must not stand in a log
 */
export function openLog(
  level: string,
  redact: (line: string) => string = (line) => line,
  report?: ReportFault,
): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      hooks: {
        streamWrite: redact,
        logMethod(args, method, given) {
          if (report !== undefined && given >= errorLevel) tell(report, args[0]);
          method.apply(this, args);
        },
      },
      serializers: { error: pino.stdSerializers.err },
      mixin: traceIds,
    },
    pino.destination({ dest: 2, sync: false }),
  );
}

function tell(report: ReportFault, record: unknown): void {
  if (typeof record !== 'object' || record === null || !('error' in record)) return;
  if (!(record.error instanceof Error)) return;
  const { run, requestId } = record as { run?: unknown; requestId?: unknown };
  report(record.error, {
    ...(typeof run === 'string' && { run }),
    ...(typeof requestId === 'string' && { request: requestId }),
  });
}

function traceIds(): Record<string, string> {
  const trace = currentTrace();
  return trace === undefined ? {} : { trace_id: trace.traceId, span_id: trace.spanId };
}
