import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connectionFile } from '../../contract/system.ts';

const root = join(import.meta.dirname, '..', '..');
const stopLimitMs = 30_000;

export interface ServerProcess extends AsyncDisposable {
  pid: number;
  url: string;
  /** The owner's. */
  key: string;
  /** From the spawn to the first answer of the health address. */
  readyMs: number;
  /** Calls the API with the owner's key. @throws Error with the answer, where it is no success */
  call(method: 'GET' | 'POST', path: string): Promise<unknown>;
}

/** A real server at this home, on a free port; `settings` of its environment. @throws Error where it ends before it is ready */
export async function startServer(home: string, settings: NodeJS.ProcessEnv = {}): Promise<ServerProcess> {
  const began = performance.now();
  const child = spawn(process.execPath, [join(root, 'server', 'main.ts')], {
    cwd: root,
    env: { ...process.env, MISSION_HOME: home, MISSION_PORT: '0', MISSION_LOG: 'error', ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const url = await Promise.race([announcedUrl(child.stdout), ended.then(() => undefined)]);
  if (url === undefined || child.pid === undefined) throw new Error('the server ended before it was ready');
  const health = await fetch(new URL('/api/v1/health', url));
  if (!health.ok) throw new Error(`health answers ${health.status}`);
  const readyMs = performance.now() - began;
  const { key } = connectionFile.parse(JSON.parse(await readFile(join(home, 'cli.json'), 'utf8')));
  return {
    pid: child.pid,
    url,
    key,
    readyMs,
    async call(method, path) {
      const response = await fetch(new URL(path, url), {
        method,
        headers: { authorization: `Bearer ${key}` },
      });
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return response.json();
    },
    async [Symbol.asyncDispose]() {
      const late = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
      child.kill('SIGTERM');
      await ended;
      clearTimeout(late);
    },
  };
}

async function announcedUrl(output: NodeJS.ReadableStream): Promise<string | undefined> {
  const lines = createInterface({ input: output });
  for await (const line of lines) {
    const url = /ready at (http:\S+)/.exec(line)?.[1];
    if (url === undefined) continue;
    lines.close();
    output.resume();
    return url;
  }
  return undefined;
}
