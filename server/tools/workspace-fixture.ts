import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { CommandResult } from '../computers/sandbox.ts';
import type { ToolWorkspace } from './tool.ts';

/** A real folder with real processes, without walls. */
export function openFolder(root: string): ToolWorkspace {
  return {
    run: (command, signal) => runIn(root, command, signal),
    async readFile(path) {
      const found = await stat(join(root, path)).catch(() => null);
      if (!found) return { kind: 'missing' };
      if (found.isDirectory()) return { kind: 'directory' };
      return { kind: 'file', bytes: await readFile(join(root, path)) };
    },
    async writeFile(path, bytes) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), bytes);
      return { kind: 'written' };
    },
    async listDirectory(path, depth) {
      const names = await readdir(join(root, path), { recursive: true });
      const shown = names.filter((name) => name.split('/').length <= depth).sort();
      const entries = shown.map(async (name) => {
        const found = await stat(join(root, path, name));
        return {
          path: name,
          type: found.isDirectory() ? ('directory' as const) : ('file' as const),
          size: found.size,
        };
      });
      return { kind: 'listing', entries: await Promise.all(entries), truncated: false };
    },
    async search({ pattern, limit }, signal) {
      const argv = ['sh', '-c', 'grep -rnE -- "$1" * | sort', 'sh', pattern];
      const { stdout } = await runIn(root, { argv }, signal);
      const lines = stdout
        .toString()
        .split('\n')
        .filter(Boolean)
        .map((line) => {
          const [path = '', number = '', ...text] = line.split(':');
          return { path, line: Number(number), text: text.join(':') };
        });
      return { kind: 'matches', lines: lines.slice(0, limit), truncated: lines.length > limit };
    },
  };
}

async function runIn(
  cwd: string,
  command: Parameters<ToolWorkspace['run']>[0],
  signal: AbortSignal,
): Promise<CommandResult> {
  const started = performance.now();
  const [program = '', ...args] = command.argv;
  const timeout = AbortSignal.timeout(command.limits?.timeoutMs ?? 30_000);
  const child = spawn(program, args, { cwd, detached: true });
  const end = () => child.pid && process.kill(-child.pid, 'SIGKILL');
  timeout.addEventListener('abort', end);
  signal.addEventListener('abort', end);
  const file = command.outputFile ? createWriteStream(command.outputFile) : null;
  const streams: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      streams[name].push(chunk);
      file?.write(chunk);
      command.onOutput?.(chunk);
    });
  }
  const closed = Promise.withResolvers<[number | null, string | null]>();
  child.on('error', closed.reject);
  child.on('close', (code, name) => closed.resolve([code, name]));
  const [exitCode, ending] = await closed.promise;
  timeout.removeEventListener('abort', end);
  signal.removeEventListener('abort', end);
  if (file) await finished(file.end());
  return {
    exitCode,
    signal: ending,
    timedOut: timeout.aborted,
    outOfMemory: false,
    stdout: Buffer.concat(streams.stdout),
    stderr: Buffer.concat(streams.stderr),
    stdoutTruncated: false,
    stderrTruncated: false,
    outputBytes: 0,
    durationMs: performance.now() - started,
  };
}
