import { chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, openLog } from '../log.ts';
import { openLocalSandbox } from './local-sandbox.ts';
import type { Command, CommandResult, Sandbox } from './sandbox.ts';

export interface SandboxFixture extends AsyncDisposable {
  sandbox: Sandbox;
  /** Holds everything below; itself not visible to commands. */
  folder: string;
  /** Mounted at /workspace. */
  workspace: string;
  runtimeFolder: string;
  /** Runs shell text in the workspace. */
  shell(
    script: string,
    more?: Partial<Command>,
    signal?: AbortSignal,
  ): Promise<CommandResult & { text: string }>;
}

type OpenSandbox = (options: { log: Logger; runtimeFolder: string }) => Promise<Sandbox & AsyncDisposable>;

/**
 * A sandbox in a folder of its own, for tests.
 * @param user who owns the workspace, where it is not this process's
 */
export async function openSandboxFixture(
  open: OpenSandbox = openLocalSandbox,
  user?: { uid: number; gid: number },
): Promise<SandboxFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'sandbox-test-'));
  const [workspace, runtimeFolder] = [join(folder, 'workspace'), join(folder, 'runtime')];
  await mkdir(workspace);
  if (user) await chown(workspace, user.uid, user.gid);
  const sandbox = await open({ log: openLog('silent'), runtimeFolder });
  return {
    sandbox,
    folder,
    workspace,
    runtimeFolder,
    async shell(script, more = {}, signal = new AbortController().signal) {
      const result = await sandbox.run(
        {
          argv: ['/bin/bash', '-c', script],
          cwd: '/workspace',
          mounts: [{ source: workspace, target: '/workspace', mode: 'write' }],
          ...more,
        },
        signal,
      );
      return { ...result, text: result.stdout.toString() };
    },
    async [Symbol.asyncDispose]() {
      await sandbox[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
