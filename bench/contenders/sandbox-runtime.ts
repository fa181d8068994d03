import { SandboxManager } from '@anthropic-ai/sandbox-runtime';

interface SandboxRuntime extends AsyncDisposable {
  /** A shell line that runs the command inside. */
  wrap(command: string): Promise<string>;
}

/** Anthropic's sandbox-runtime: bubblewrap as well. @returns why not, where the machine lacks what it needs */
export async function openSandboxRuntime(workspace: string): Promise<SandboxRuntime | string> {
  const { errors } = SandboxManager.checkDependencies();
  if (errors.length > 0) return `sandbox-runtime (${errors.join(', ')})`;
  await SandboxManager.initialize({
    network: { allowedDomains: [], deniedDomains: [] },
    filesystem: { denyRead: [], allowWrite: [workspace], denyWrite: [] },
  });
  return {
    wrap: (command) => SandboxManager.wrapWithSandbox(command),
    [Symbol.asyncDispose]: () => SandboxManager.reset(),
  };
}
