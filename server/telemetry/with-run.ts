import type { Sandbox } from '../computers/sandbox.ts';

/** The same sandbox, its commands run in another way: counted, or with a span around each. */
export function withRun(sandbox: Sandbox, run: Sandbox['run']): Sandbox {
  const { kind, endOlder, diagnose } = sandbox;
  return {
    kind,
    run,
    ...(endOlder && { endOlder: endOlder.bind(sandbox) }),
    ...(diagnose && { diagnose: diagnose.bind(sandbox) }),
  };
}
