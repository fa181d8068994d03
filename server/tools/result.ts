import type { ToolResult } from '../../contract/steps.ts';
import { GateClosed } from '../computers/sandbox.ts';
import { AppError, LeaseLost, messageOf } from '../errors.ts';
import type { Tool, ToolContext, ToolOutcome } from './tool.ts';

export const succeeded = (output: string, more: Partial<ToolResult> = {}): ToolOutcome => ({
  kind: 'result',
  result: { ok: true, output, ...more },
});

export const failed = (output: string, more: Partial<ToolResult> = {}): ToolOutcome => ({
  kind: 'result',
  result: { ok: false, output, ...more },
});

/** The answer for a path that leads out of the workspace, perhaps by a link. */
export const outside = (path: string): ToolOutcome =>
  failed(`${path} leads out of the workspace; only files within it can be reached`);

/**
 * A failure of the tool becomes a result, so that the model reads it and goes on. What ends the run's step
 * itself passes through: the abort, a lost lease, and a database without which nothing can be recorded.
 */
export function answering<Input>(tool: Tool<Input>): Tool<Input> {
  return {
    ...tool,
    async run(input: Input, context: ToolContext) {
      try {
        return await tool.run(input, context);
      } catch (error) {
        context.signal.throwIfAborted();
        if (error instanceof GateClosed || error instanceof LeaseLost) throw error;
        if (error instanceof AppError && error.code === 'database_unavailable') throw error;
        return failed(`${tool.name} could not be done: ${messageOf(error)}`);
      }
    },
  };
}
