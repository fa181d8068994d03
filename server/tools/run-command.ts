import { rm } from 'node:fs/promises';
import { z } from 'zod';
import type { CommandResult } from '../computers/sandbox.ts';
import { collectOutput } from './output-collector.ts';
import { failed, succeeded } from './result.ts';
import type { Tool, ToolContext } from './tool.ts';

/** What a model reads of an output, in characters. */
const outputForModel = 12_000;
const defaultSeconds = 120;
const mostSeconds = 1_800;

const input = z.strictObject({
  command: z
    .string()
    .trim()
    .min(1)
    .max(32_000)
    .describe('A line for bash, run in the root of the workspace.'),
  timeout_seconds: z
    .number()
    .min(1)
    .max(mostSeconds)
    .optional()
    .describe(`How long it may take; ${defaultSeconds} by default.`),
});

export const runCommand: Tool<z.infer<typeof input>> = {
  name: 'run_command',
  description:
    'Runs a command in the sandbox and gives its exit status and output. Nothing that it starts lives on afterwards. The network reaches only the hosts that were allowed to you, through the proxy of the environment; by default there is none.',
  input,
  effect: 'workspace',
  subject: ({ command }) => command,
  async run({ command, timeout_seconds: seconds = defaultSeconds }, context) {
    const { result, output, artifact } = await runForModel(
      context,
      ['sh', '-c', preferBash, 'sh', command],
      Math.round(seconds * 1_000),
      'output.txt',
    );
    const answer = `${describeEnd(result, seconds)}\n${output || '(no output)'}`;
    const more = { exitCode: result.exitCode, ...(artifact && { artifact }) };
    return hasSucceeded(result) ? succeeded(answer, more) : failed(answer, more);
  },
};

/** One stream, so that errors stand where they happened. */
const preferBash =
  'exec 2>&1; if command -v bash >/dev/null 2>&1; then exec bash -c "$1"; else exec sh -c "$1"; fi';

export interface RunForModel {
  result: CommandResult;
  /** Both streams as they came, bounded, without what only a terminal understands. */
  output: string;
  artifact: string | null;
}

/** Runs a command and bounds its output; where some of it was left out, the whole is kept as an artifact. */
export async function runForModel(
  context: ToolContext,
  argv: string[],
  timeoutMs: number,
  name: string,
): Promise<RunForModel> {
  const collector = collectOutput();
  const file = await context.outputFile();
  try {
    const result = await context.workspace.run(
      {
        argv,
        limits: { timeoutMs },
        network: true,
        outputFile: file,
        onOutput: (chunk) => collector.add(chunk),
      },
      context.signal,
    );
    const { text, left } = collector.read(outputForModel);
    if (left === 0) return { result, output: text.trimEnd(), artifact: null };
    const artifact = await context.keep({ path: file, name, mediaType: 'text/plain; charset=utf-8' });
    const whole = `[${left} characters were left out; the whole output is kept as ${artifact}]`;
    return { result, output: `${text.trimEnd()}\n${whole}`, artifact };
  } finally {
    await rm(file, { force: true });
  }
}

export function hasSucceeded(result: CommandResult): boolean {
  return result.exitCode === 0 && !result.timedOut && !result.outOfMemory;
}

/** How a command ended, in words. */
function describeEnd(result: CommandResult, seconds: number): string {
  const took = `after ${(result.durationMs / 1_000).toFixed(1)} s`;
  if (result.timedOut) {
    return `[timed out: it was ended because it took longer than ${seconds} s; give timeout_seconds for more]`;
  }
  if (result.outOfMemory) return `[out of memory: it was ended ${took} because it used more than it may]`;
  if (result.exitCode !== null) {
    const hint = result.exitCode > 128 && result.exitCode <= 192 ? signalHint(result.exitCode - 128) : '';
    return `[exit status ${result.exitCode}${hint} ${took}]`;
  }
  return `[ended by the signal ${result.signal ?? 'unknown'} ${took}]`;
}

const signals: Record<number, string> = {
  2: 'SIGINT',
  6: 'SIGABRT',
  8: 'SIGFPE',
  9: 'SIGKILL, perhaps for want of memory',
  11: 'SIGSEGV',
  13: 'SIGPIPE',
  15: 'SIGTERM',
  24: 'SIGXCPU: it used more CPU time than it may',
  25: 'SIGXFSZ: it wrote a larger file than it may',
};

function signalHint(signal: number): string {
  return signals[signal] ? ` (ended by ${signals[signal]})` : '';
}
