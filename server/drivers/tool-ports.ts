import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunWorkspace } from '../agent/ports.ts';
import type { Workspace } from '../computers/workspaces/workspace.ts';
import { maxReadBytes } from '../computers/workspaces/workspace-files.ts';
import type { ToolContext, ToolWorkspace } from '../tools/tool.ts';
import type { DriverParts } from './parts.ts';

/** A workspace as the tools see it. */
export function openToolWorkspace(workspace: Workspace): ToolWorkspace {
  return {
    run: (command, signal) => workspace.run(command, signal),
    async readFile(path, signal) {
      const read = await workspace.files.readFile(path, signal);
      switch (read.kind) {
        case 'file':
          return read;
        case 'too_large':
          return { ...read, limit: maxReadBytes };
        case 'directory':
        case 'outside':
          return { kind: read.kind };
        default:
          return { kind: 'missing' };
      }
    },
    async writeFile(path, bytes, signal) {
      const written = await workspace.files.writeFile(path, bytes, signal);
      return written.kind === 'failed' ? { kind: 'failed', message: written.reason } : { kind: written.kind };
    },
    async listDirectory(path, depth, signal) {
      const listed = await workspace.files.listDirectory(path, depth, signal);
      if (listed.kind === 'directory') return { ...listed, kind: 'listing' };
      return { kind: listed.kind === 'outside' ? 'outside' : 'missing' };
    },
    async search(query, signal) {
      const found = await workspace.files.search(query, signal);
      if (found.kind === 'matches')
        return { kind: 'matches', lines: found.matches, truncated: found.truncated };
      if (found.kind === 'outside') return { kind: 'outside' };
      const message = {
        invalid: 'the pattern is not valid',
        missing: `there is no ${query.path}`,
        timed_out: 'the search took too long; narrow it',
      };
      return { kind: 'bad_pattern', message: found.kind === 'invalid' ? found.reason : message[found.kind] };
    },
  };
}

/** Where a path of the workspace really leads, through its links; null where it leads out. */
export async function resolvePath(
  workspace: Workspace,
  path: string,
  signal: AbortSignal,
): Promise<string | null> {
  const argv = ['realpath', '-mz', '--', path];
  const { exitCode, stdout } = await workspace.run({ argv, limits: { timeoutMs: 30_000 } }, signal);
  const real = stdout.toString('utf8').replace(/\0$/, '');
  if (exitCode !== 0) return null;
  if (real === '/workspace') return '.';
  return real.startsWith('/workspace/') ? real.slice('/workspace/'.length) : null;
}

/** Snapshots of a workspace for the loop: taken again only after something may have changed it. */
export function openRunWorkspace(workspace: Workspace, signal: AbortSignal): RunWorkspace {
  let last: string | null = null;
  return {
    async snapshot() {
      last ??= await workspace.snapshot(signal);
      return last;
    },
    async restore(tree) {
      last = null;
      await workspace.restore(tree, signal);
    },
    touched() {
      last = null;
    },
  };
}

export function openToolContext(
  parts: DriverParts,
  run: { runId: string; taskId: string },
  workspace: Workspace,
  options: { agent: string; intendedAt: Date; signal: AbortSignal },
): ToolContext {
  return {
    workspace: openToolWorkspace(workspace),
    baseCommit: workspace.base,
    intendedAt: options.intendedAt,
    outputFile: () => newOutputFile(parts),
    keep: (file) => keepOutput(parts, run, { ...file, actor: options.agent }),
    signal: options.signal,
  };
}

/** A fresh place for a command's whole output. */
export async function newOutputFile(parts: DriverParts): Promise<string> {
  await mkdir(parts.computer.temporaryFolder, { recursive: true, mode: 0o700 });
  return join(parts.computer.temporaryFolder, randomBytes(12).toString('hex'));
}

/** Keeps an output as an artifact and removes the file. Returns the artifact's identifier. */
export async function keepOutput(
  parts: DriverParts,
  run: { runId: string; taskId: string },
  file: { path: string; name: string; mediaType: string; actor: string },
): Promise<string> {
  const artifact = await parts.artifacts.keep({ ...file, runId: run.runId, taskId: run.taskId });
  await rm(file.path, { force: true });
  return artifact.id;
}
