import type { z } from 'zod';
import type { Effect, ToolResult } from '../../contract/steps.ts';
import type { CommandResult, Limits } from '../computers/sandbox.ts';

/** What the file and command tools need of a workspace. Every path is relative to it. */
export interface ToolWorkspace {
  run(
    command: {
      argv: string[];
      limits?: Partial<Limits>;
      outputFile?: string;
      onOutput?: (chunk: Uint8Array) => void;
      /** Whether it may reach what its agent is allowed to; nothing otherwise. */
      network?: boolean;
    },
    signal: AbortSignal,
  ): Promise<CommandResult>;
  readFile(path: string, signal: AbortSignal): Promise<FileRead>;
  writeFile(path: string, bytes: Uint8Array, signal: AbortSignal): Promise<FileWrite>;
  listDirectory(path: string, depth: number, signal: AbortSignal): Promise<DirectoryListing>;
  search(query: SearchQuery, signal: AbortSignal): Promise<SearchResult>;
}

export type FileRead =
  | { kind: 'file'; bytes: Buffer }
  | { kind: 'missing' }
  | { kind: 'directory' }
  | { kind: 'outside' }
  | { kind: 'too_large'; size: number; limit: number };
export type FileWrite =
  | { kind: 'written' }
  | { kind: 'directory' }
  | { kind: 'outside' }
  | { kind: 'failed'; message: string };
export type DirectoryListing =
  | {
      kind: 'listing';
      entries: { path: string; type: 'file' | 'directory' | 'link' | 'other'; size: number }[];
      truncated: boolean;
    }
  | { kind: 'missing' }
  | { kind: 'outside' };
export interface SearchQuery {
  pattern: string;
  path?: string;
  glob?: string;
  fixed?: boolean;
  limit: number;
}
export type SearchResult =
  | { kind: 'matches'; lines: { path: string; line: number; text: string }[]; truncated: boolean }
  | { kind: 'bad_pattern'; message: string }
  | { kind: 'outside' };

export interface ToolContext {
  workspace: ToolWorkspace;
  /** The commit that the run began from. */
  baseCommit: string;
  /** A date that a repeat of this call sees again: that of its intent. */
  intendedAt: Date;
  /** Where a tool's whole output is written before it is kept as an artifact. */
  outputFile(): Promise<string>;
  /** Keeps a file as an artifact and returns its identifier. */
  keep(file: { path: string; name: string; mediaType: string }): Promise<string>;
  signal: AbortSignal;
}

/** What a call comes to: a result for the model, or an act on the run that only the loop can do. */
export type ToolOutcome =
  | { kind: 'result'; result: ToolResult }
  | { kind: 'ask'; question: string; options: string[] }
  | { kind: 'note'; text: string }
  | { kind: 'finish_phase'; summary: string; title: string | null; description: string | null };

export interface Tool<Input = unknown> {
  name: string;
  description: string;
  /** Strict: an unknown or missing argument is told to the model, not guessed at. */
  input: z.ZodType<Input>;
  effect: Effect;
  /** What policy patterns are matched against: a path, a command line, or nothing. */
  subject(input: Input): string;
  run(input: Input, context: ToolContext): Promise<ToolOutcome>;
}
