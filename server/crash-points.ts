import { appendFileSync } from 'node:fs';

/**
 * Places where a crash must be harmless: before and after each commit, model call and tool call.
 * They are named by the wrappers through which every such act passes, so none can be forgotten.
 * `MISSION_CRASH_TRACE=FILE` lists the points reached; `MISSION_CRASH_AT=NAME` ends this process there, by SIGKILL.
 * A point's name carries its ordinal: `commit:steps.intend:before#3` is the third time it was reached.
 */
export interface CrashPoints {
  reach(name: string): void;
}

export function readCrashPoints(env: NodeJS.ProcessEnv): CrashPoints {
  const trace = env['MISSION_CRASH_TRACE'];
  const target = env['MISSION_CRASH_AT'];
  if (!trace && !target) return { reach: () => undefined };
  const counts = new Map<string, number>();
  return {
    reach(name) {
      const ordinal = (counts.get(name) ?? 0) + 1;
      counts.set(name, ordinal);
      const point = `${name}#${ordinal}`;
      if (trace) appendFileSync(trace, `${point}\n`);
      if (point === target) process.kill(process.pid, 'SIGKILL');
    },
  };
}
