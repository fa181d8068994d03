import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { identifyProcess } from './processes.ts';

/** A folder of this server's own below `runtimeFolder`; those of dead servers are removed. */
export function prepareRuntimeFolder(runtimeFolder: string): string {
  mkdirSync(runtimeFolder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(runtimeFolder)) {
    const [, pid, start] = /^sandbox-(\d+)-(\d+)-\d+$/.exec(name) ?? [];
    if (!pid || identifyProcess(Number(pid))?.start === start) continue;
    rmSync(join(runtimeFolder, name), { recursive: true, force: true });
  }
  const start = identifyProcess(process.pid)?.start ?? '0';
  const base = join(runtimeFolder, `sandbox-${process.pid}-${start}`);
  for (let count = 1; ; count++) {
    const created = mkdirSync(`${base}-${count}`, { recursive: true, mode: 0o700 });
    if (created) return `${base}-${count}`;
  }
}
