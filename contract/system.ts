import { z } from 'zod';
import { askView } from './asks.ts';
import { changeView } from './changes.ts';
import { budgetView, runView } from './runs.ts';
import { taskView } from './tasks.ts';

/** One thing that must be right for Mission Control to work, and the line that mends it where it is not. */
export const finding = z.object({
  name: z.string(),
  state: z.enum(['ok', 'warning', 'failed']),
  detail: z.string(),
  mend: z.string().nullable(),
});
export type Finding = z.infer<typeof finding>;

/** What work needs in order to go on, and that it is there. */
export const readyView = z.object({ status: z.literal('ready'), findings: z.array(finding) });
export type ReadyView = z.infer<typeof readyView>;

export const versionView = z.object({ version: z.string(), node: z.string() });
export type VersionView = z.infer<typeof versionView>;

export const workerView = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.number(),
  /** `bubblewrap`, `container`, or `unsafe` where commands run without walls. */
  sandbox: z.string(),
  runs: z.number(),
  startedAt: z.string(),
});
export type WorkerView = z.infer<typeof workerView>;

/** Everything is stopped: no worker takes a run until it is released. */
export const halt = z.object({ by: z.string(), at: z.string(), reason: z.string() });
export type Halt = z.infer<typeof halt>;
export const haltView = z.object({ halted: halt.nullable() });
export const haltBody = z.strictObject({ reason: z.string().trim().max(2_000).default('') });

export const statusView = z.object({
  version: z.string(),
  /** Null where runs may run. */
  halted: halt.nullable(),
  workers: z.array(workerView),
  /** Open asks: what waits for a person. */
  asks: z.array(askView),
  /** Runs that have not ended. */
  runs: z.array(runView),
  /** Tasks that have not ended. */
  tasks: z.array(taskView),
  /** Changes that wait for a review. */
  changes: z.array(changeView),
  today: budgetView.nullable(),
});
export type StatusView = z.infer<typeof statusView>;

/** RFC 9457. `type` is `https://mission-control.dev/problems/<code>`; `detail` says what to do. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  code: z.string(),
  issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  /** By which the server's log tells of the request; the same as the header `x-request-id`. */
  requestId: z.string().optional(),
});
export type Problem = z.infer<typeof problem>;

/** `MISSION_HOME/cli.json`, mode 0600: how the command line finds the server. */
export const connectionFile = z.object({ url: z.url(), key: z.string(), pid: z.number() });
export type ConnectionFile = z.infer<typeof connectionFile>;

/** What `event: live` carries on the stream: text as a model writes it; not in the log. */
export const liveText = z.object({
  runId: z.string(),
  /** The model step that the text belongs to. */
  seq: z.number(),
  text: z.string(),
});
export type LiveText = z.infer<typeof liveText>;
