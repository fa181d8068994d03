import type { Command } from 'commander';
import type { Client } from './client.ts';
import type { ExitStatus } from './exit-status.ts';
import type { Terminal } from './terminal.ts';

/** What a command works with. */
export interface CommandContext {
  client: Client;
  terminal: Terminal;
  json: boolean;
  noInput: boolean;
  dryRun: boolean;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  /** Does what Ctrl-C does. */
  interrupt: () => void;
}

/** Runs a command with its context; what it returns is the exit status. */
export type Run = (command: Command, work: (context: CommandContext) => Promise<ExitStatus>) => Promise<void>;
