import type { PacePort } from '../../agent/ports.ts';
import type { DriveContext } from '../../runs/worker.ts';
import type { DriverParts } from '../parts.ts';
import type { PreparedRun } from '../prepare.ts';
import type { JournalRecord } from '../record.ts';
import { openGuards, type RunGuards } from './open-guards.ts';
import { suspendForSurprise } from './suspend.ts';

/** Opens what watches over a run beside the policy, and has what its calls bring in recorded with them. */
export async function watchRun(
  parts: DriverParts,
  context: DriveContext,
  record: JournalRecord,
  { preparation }: PreparedRun,
  hasNetwork: boolean,
): Promise<RunGuards> {
  const { run, signal } = context;
  const { repository, commit } = preparation;
  const files = await parts.computer.content.listFiles(repository, commit, signal);
  const guards = await openGuards({
    database: parts.database,
    run,
    steps: () => record.steps,
    files: files.map(({ path }) => path),
    hasNetwork,
    suspend: (agent, reason) => suspendForSurprise(parts, agent, reason),
  });
  record.mark = guards.mark;
  return guards;
}

/** The pace of the providers, which all runs share, and that of the agent. */
export function openPace(
  { pace }: Pick<DriverParts, 'pace'>,
  runId: string,
  record: Pick<JournalRecord, 'steps'>,
  guards: RunGuards,
): PacePort {
  return {
    async enter(model) {
      const next = (record.steps.at(-1)?.seq ?? 0) + 1;
      return (await guards.enter({ ref: `model/${next}`, tool: null })) ?? pace.enter(runId, model);
    },
    enterTool: (call) => guards.enter(call),
    slowDown: (...told) => pace.slowDown(...told),
  };
}
