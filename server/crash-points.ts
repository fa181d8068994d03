import { appendFileSync } from 'node:fs';

/**
 * Places where a crash must be harmless: before and after each commit, model call and tool call.
 * They are named by the wrappers through which every such act passes, so none can be forgotten.
 * `MISSION_CRASH_TRACE=FILE` lists the points reached; `MISSION_CRASH_AT=NAME` ends this process there, by SIGKILL;
 * `MISSION_FREEZE_AT=NAME` stops it there, by SIGSTOP, until somebody lets it go on.
 * A point's name carries its ordinal: `commit:steps.intend:before#3` is the third time it was reached.
 */
export interface CrashPoints {
  reach(name: string): void;
}

export function readCrashPoints(env: NodeJS.ProcessEnv): CrashPoints {
  const trace = env['MISSION_CRASH_TRACE'];
  const target = env['MISSION_CRASH_AT'];
  const freeze = env['MISSION_FREEZE_AT'];
  if (!trace && !target && !freeze) return { reach: () => undefined };
  const counts = new Map<string, number>();
  return {
    reach(name) {
      const ordinal = (counts.get(name) ?? 0) + 1;
      counts.set(name, ordinal);
      const point = `${name}#${ordinal}`;
      if (trace) appendFileSync(trace, `${point}\n`);
      if (point === target) process.kill(process.pid, 'SIGKILL');
      if (point === freeze) process.kill(process.pid, 'SIGSTOP');
    },
  };
}
