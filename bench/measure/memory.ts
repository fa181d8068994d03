import { readdirSync, readFileSync } from 'node:fs';

/** Mebibytes of a process and all its descendants. PSS shares a page among those who map it; RSS counts it for each. */
export function readMemory(pid: number): { rss: number; pss: number; processes: number } {
  const all = [pid, ...descendantsOf(pid)];
  const rollups = all.map((each) => readIfThere(`/proc/${each}/smaps_rollup`));
  const sum = (field: string) =>
    rollups.reduce(
      (total, text) => total + Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0),
      0,
    );
  return { rss: sum('Rss') / 1024, pss: sum('Pss') / 1024, processes: all.length };
}

function descendantsOf(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // The name in parentheses may hold anything; what follows its last parenthesis is state and parent.
    const parent = /^.*\) \S (\d+)/s.exec(readIfThere(`/proc/${name}/stat`))?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const childrenOf = (parent: number): number[] =>
    [...parents].filter(([, each]) => each === parent).flatMap(([child]) => [child, ...childrenOf(child)]);
  return childrenOf(pid);
}

/** A process may end while we look. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return '';
    throw error;
  }
}
