import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { type AskView, askView, type DecideAskBody } from '../../contract/asks.ts';
import type { CommandContext, Run } from '../context.ts';
import { CommandError, type ExitStatus, exitStatus } from '../exit-status.ts';
import { resolveId } from '../resolve-id.ts';
import { askLines } from '../view/run-lines.ts';

export function addAskCommands(program: Command, run: Run): void {
  program
    .command('approve')
    .description('let an action happen, or answer a question')
    .argument('<ask>')
    .argument('[answer]', 'what the agent reads; a question needs one')
    .option('--input <json>', "let it happen with these arguments instead of the agent's", readInput)
    .addOption(new Option('--for-run', 'and every same call of this run').conflicts('asRule'))
    .option('--as-rule', 'and every same call of this agent in this project, from now on')
    .option('--dry-run', 'show the ask and what would be decided, and decide nothing')
    .action((given: string, answer: string | undefined, options: ApproveOptions, command: Command) =>
      run(command, (context) =>
        decide(context, given, (ask) => ({
          ...approvalOf(ask, answer),
          ...(options.input === undefined ? {} : { input: options.input }),
          ...(options.forRun ? { remember: 'run' as const } : {}),
          ...(options.asRule ? { remember: 'rule' as const } : {}),
        })),
      ),
    );
  program
    .command('deny')
    .description('refuse an action')
    .argument('<ask>')
    .argument('[reason]', 'what the agent reads')
    .option('--dry-run', 'show the ask and what would be decided, and decide nothing')
    .action((given: string, reason: string | undefined, _options: unknown, command: Command) =>
      run(command, (context) => decide(context, given, () => ({ decision: 'deny', answer: reason ?? '' }))),
    );
}

interface ApproveOptions {
  input?: Record<string, unknown>;
  forRun?: boolean;
  asRule?: boolean;
}

function readInput(text: string): Record<string, unknown> {
  try {
    const parsed = z.record(z.string(), z.unknown()).safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new InvalidArgumentError('It must be a JSON object, such as \'{"command":"npm test"}\'.');
}

/** A question is answered, anything else approved. */
export function approvalOf(
  ask: Pick<AskView, 'id' | 'kind' | 'question'>,
  answer: string | undefined,
): DecideAskBody {
  if (ask.kind !== 'clarification') return { decision: 'approve', answer: answer ?? '' };
  if (answer !== undefined && answer.trim() !== '') return { decision: 'answer', answer };
  throw new CommandError(
    exitStatus.usage,
    `${ask.id} is a question and needs an answer: mission approve ${ask.id} "your answer"`,
  );
}

async function decide(
  context: CommandContext,
  given: string,
  decisionOf: (ask: AskView) => DecideAskBody,
): Promise<ExitStatus> {
  const { client, terminal, json, dryRun, signal } = context;
  const id = await resolveId(client, 'ask', given);
  const ask = await client.get(`/asks/${id}`, askView, signal);
  // The decision names what was shown, so that nothing else can be approved by it.
  const body = { ...decisionOf(ask), actionHash: ask.actionHash };
  if (dryRun) {
    if (json) terminal.out(`${JSON.stringify({ ask, body })}\n`);
    else terminal.out(`${askLines(ask, terminal.style, new Date()).join('\n')}\n`);
    terminal.err(`would decide: ${body.decision}\n`);
    return exitStatus.ok;
  }
  const decided = await client.post(`/asks/${id}/decide`, body, askView, signal);
  if (json) terminal.out(`${JSON.stringify(decided)}\n`);
  else terminal.out(`${decided.id}  ${decided.decision ?? decided.status}\n`);
  return exitStatus.ok;
}
