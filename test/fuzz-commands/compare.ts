import fc from 'fast-check';
import { readCommandLine } from '../../server/tools/command-line/read-line.ts';
import { anyCommandLine } from './command-lines.ts';
import type { Recorder } from './record-starts.ts';

export interface Outcome {
  lines: number;
  /** Programs that bash started. */
  started: number;
  /** Lines of which the reading says that only the shell knows what they start. */
  doubtful: number;
  /** Lines that started a program which the reading did not name. */
  missed: { line: string; programs: string[] }[];
}

const batch = 250;

/** Reads generated lines as the policy does, runs them, and compares. The same seed gives the same lines. */
export async function compare(
  recorder: Recorder,
  options: { lines: number; seed: number; tell?: (outcome: Outcome) => void },
): Promise<Outcome> {
  const outcome: Outcome = { lines: 0, started: 0, doubtful: 0, missed: [] };
  for (let from = 0; from < options.lines; from += batch) {
    const numRuns = Math.min(batch, options.lines - from);
    const lines = fc.sample(anyCommandLine, { numRuns, seed: options.seed + from });
    const recorded = await recorder.record(lines);
    for (const [index, line] of lines.entries()) {
      const programs = recorded[index] ?? new Set<string>();
      outcome.lines++;
      outcome.started += programs.size;
      if (readCommandLine(line).doubts.length > 0) outcome.doubtful++;
      const missed = findMissed(line, programs);
      if (missed.length > 0) outcome.missed.push({ line, programs: missed });
    }
    options.tell?.(outcome);
  }
  return outcome;
}

/** What a line started though the reading neither named it nor said that it does not know. */
export function findMissed(line: string, started: ReadonlySet<string>): string[] {
  const { segments, doubts } = readCommandLine(line);
  if (doubts.length > 0) return [];
  const named = new Set(segments.map(({ text }) => (text.split(' ', 1)[0] ?? '').replace(/^.*\//s, '')));
  return [...started].filter((program) => !named.has(program));
}
