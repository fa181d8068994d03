import { z } from 'zod';
import { editFile, listDirectory, readFile, search, writeFile } from './files.ts';
import { gitCommit, gitDiff, gitStatus } from './git.ts';
import { answering } from './result.ts';
import { askHuman, finishPhase, note } from './run-acts.ts';
import { runCommand } from './run-command.ts';
import type { Tool } from './tool.ts';

/** The shape of an MCP tool definition. */
export interface ToolDefinition {
  name: string;
  description: string;
  /** JSON Schema of the arguments. */
  inputSchema: Record<string, unknown>;
}

/** Every tool that is built in. */
export function builtinTools(): Tool[] {
  return [
    answering(readFile),
    answering(writeFile),
    answering(editFile),
    answering(listDirectory),
    answering(search),
    answering(runCommand),
    answering(gitStatus),
    answering(gitDiff),
    answering(gitCommit),
    answering(askHuman),
    answering(note),
    answering(finishPhase),
  ];
}

/** The tool as a model sees it. */
export function toDefinition(tool: Tool): ToolDefinition {
  const { $schema: _, ...inputSchema } = z.toJSONSchema(tool.input, { io: 'input' });
  return { name: tool.name, description: tool.description, inputSchema };
}
