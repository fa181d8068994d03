import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';

/** What was wanted, what was measured, and whether that is met. */
export interface Goal {
  goal: string;
  measured: number;
  limit: number;
  unit: string;
  met: boolean;
}

export const atMost = (goal: string, measured: number, limit: number, unit: string): Goal => ({
  goal,
  measured: rounded(measured),
  limit,
  unit,
  met: measured <= limit,
});

export const atLeast = (goal: string, measured: number, limit: number, unit: string): Goal => ({
  ...atMost(goal, measured, limit, unit),
  met: measured >= limit,
});

export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

/** Prints the rows and goals as tables, and keeps all of it in `bench/results/<name>.json`. */
export function report(name: string, rows: readonly Record<string, unknown>[], goals: readonly Goal[]): void {
  console.table(rows);
  console.table(goals);
  const folder = join(import.meta.dirname, '..', 'results');
  mkdirSync(folder, { recursive: true });
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
  };
  const content = { at: new Date().toISOString(), machine, rows, goals };
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(content, null, 2)}\n`);
}
