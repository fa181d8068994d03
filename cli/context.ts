import type { Client } from './client.ts';
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
