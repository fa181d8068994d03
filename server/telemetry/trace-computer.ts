import { posix } from 'node:path';
import type { CommandResult, Sandbox } from '../computers/sandbox.ts';
import type { CheckResult, CleanRoom } from '../computers/workspaces/clean-room.ts';
import type { PreparedSetups, PrepareRequest } from '../computers/workspaces/prepared-setup.ts';
import { currentTrace } from '../trace-context.ts';
import { type Capture, within } from './spans.ts';
import type { SpanAttributes, Tracing } from './tracing.ts';
import { withRun } from './with-run.ts';

/*
 * Spans of what runs in sandboxes, by OpenTelemetry's conventions for programs that are called and for the tasks of a
 * pipeline. Command lines are content: an agent wrote them.
 */

/** The same sandbox, with a span around each command of a trace; what belongs to none, such as sweeping, gets none. */
export function traceSandbox(tracing: Tracing, sandbox: Sandbox, capture: Capture): Sandbox {
  const run: Sandbox['run'] = async (command, signal) => {
    const parent = currentTrace();
    if (parent === undefined) return sandbox.run(command, signal);
    const name = posix.basename(command.argv[0] ?? '');
    const span = tracing.start({
      name,
      kind: 'client',
      parent,
      attributes: {
        'process.executable.name': name,
        'mission.sandbox': sandbox.kind,
        ...(capture && { 'process.command_args': command.argv.map(capture) }),
      },
    });
    return within(span, async () => {
      const result = await sandbox.run(command, signal);
      if (result.exitCode !== null) span.set({ 'process.exit.code': result.exitCode });
      const failure = failureOf(result);
      if (failure !== null) span.fail(failure);
      return result;
    });
  };
  return withRun(sandbox, run);
}

function failureOf({ exitCode, signal, timedOut, outOfMemory }: CommandResult): string | null {
  if (timedOut) return 'timeout';
  if (outOfMemory) return 'out_of_memory';
  return exitCode === 0 ? null : String(exitCode ?? signal ?? '_OTHER');
}

interface ChecksParts {
  cleanRoom: CleanRoom;
  setups: PreparedSetups;
}

/** The same computer, with a span around each check and each set-up that the control plane runs. */
export function traceChecks<C extends ChecksParts>(tracing: Tracing, computer: C): C {
  const { cleanRoom, setups } = computer;
  const start = (name: string, { commit, step }: Pick<PrepareRequest, 'commit' | 'step'>, type: string) =>
    tracing.start({
      name,
      kind: 'internal',
      parent: currentTrace() ?? null,
      attributes: {
        'cicd.pipeline.task.name': name,
        'cicd.pipeline.task.type': type,
        'cicd.pipeline.task.run.id': step,
        'vcs.ref.head.revision': commit,
      },
    });
  const runCheck: CleanRoom['runCheck'] = (request, signal, onOutput) => {
    const span = start(request.where === undefined ? 'check' : `check ${request.where}`, request, 'test');
    return within(span, async () => {
      const result = await cleanRoom.runCheck(request, signal, onOutput);
      span.set(endOf[result.outcome]);
      if (result.outcome !== 'passed') span.fail(result.outcome);
      return result;
    });
  };
  const prepare: PreparedSetups['prepare'] = (request, signal, onOutput) => {
    const span = start('setup', request, 'build');
    return within(span, async () => {
      const prepared = await setups.prepare(request, signal, onOutput);
      span.set(endOf.passed);
      return prepared;
    });
  };
  return { ...computer, cleanRoom: { ...cleanRoom, runCheck }, setups: { ...setups, prepare } };
}

const endOf: Record<CheckResult['outcome'], SpanAttributes> = {
  passed: { 'cicd.pipeline.task.run.result': 'success' },
  failed: { 'cicd.pipeline.task.run.result': 'failure' },
  timed_out: { 'cicd.pipeline.task.run.result': 'timeout' },
  out_of_memory: { 'cicd.pipeline.task.run.result': 'failure' },
};
