import type { Finding } from '../../contract/system.ts';

/**
 * Where commands run. Everything that touches an agent's files goes through `Sandbox.run`: an agent's
 * commands, the file tools, git, set-ups and checks. One way in, so that the limits, the lease gate and the
 * walls are the same for all.
 */

/** A folder or file of the host, shown inside the sandbox. `target` is absolute, inside. */
export interface Mount {
  source: string;
  target: string;
  mode: 'read' | 'write';
}

export interface Limits {
  timeoutMs: number;
  memoryBytes: number;
  processes: number;
  /** CPU seconds of any one process. */
  cpuSeconds: number;
  /** The largest file a command may write. */
  fileBytes: number;
}

export const defaultLimits: Limits = {
  timeoutMs: 120_000,
  memoryBytes: 2 * 1024 ** 3,
  processes: 512,
  cpuSeconds: 600,
  fileBytes: 1024 ** 3,
};

/**
 * The gate of a leased folder. The command starts only if the file `token` in `folder` still holds
 * `token` at the moment of exec, under a shared lock that a new holder must take exclusively first: a worker
 * that was frozen past its lease cannot start anything when it thaws.
 */
export interface Gate {
  folder: string;
  token: string;
}

/**
 * The one way out of a sandbox that has no network of its own: a proxy on a unix socket of the host. Whoever
 * opened it judges what passes; a driver only shows the files inside, sets the variables and puts the bridge
 * before the command.
 */
export interface NetworkSession {
  /** On the host: speaks HTTP proxy, absolute addresses and CONNECT. */
  socketPath: string;
  /** Files of the host that the command needs, the socket among them; read-only, `target` absolute inside. */
  files: { source: string; target: string }[];
  env: Record<string, string>;
  /** Goes before the command's own argv: carries the sandbox's loopback to the socket, by Node at /opt/node. */
  bridge: string[];
}

export interface Command {
  /** argv[0] is looked up on the sandbox's PATH. */
  argv: string[];
  /** Absolute, inside the sandbox. */
  cwd: string;
  mounts: Mount[];
  /** Folders inside that are empty, writable and gone afterwards; /tmp and the home always are. */
  scratch?: string[];
  /** Added to a fixed, small environment; nothing of the server's own is passed on. */
  env?: Record<string, string>;
  stdin?: string | Uint8Array;
  limits?: Partial<Limits>;
  /**
   * `registry` reaches package registries through our proxy alone, a session what its opener allows; `open` is
   * only for git's own transport.
   */
  network?: 'none' | 'registry' | 'open' | NetworkSession;
  gate?: Gate;
  /** Where the whole output goes (both streams, as they came), up to `maxOutputFileBytes`. */
  outputFile?: string;
  onOutput?: (chunk: Uint8Array) => void;
}

export interface CommandResult {
  /** null where a signal ended it. */
  exitCode: number | null;
  signal: string | null;
  timedOut: boolean;
  outOfMemory: boolean;
  /** stdout, at most `maxCapturedBytes` (the rest is only in the output file). */
  stdout: Buffer;
  stderr: Buffer;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
  /** Bytes that the command wrote in all. */
  outputBytes: number;
  durationMs: number;
}

export const maxCapturedBytes = 32 * 1024 ** 2;
export const maxOutputFileBytes = 256 * 1024 ** 2;

/** The gate was closed: the folder belongs to a newer lease. */
export class GateClosed extends Error {
  constructor(folder: string) {
    super(`${folder} belongs to a newer lease; the command was not started`);
    this.name = 'GateClosed';
  }
}

export type SandboxKind = 'bubblewrap' | 'container' | 'unsafe';

export interface Sandbox {
  /** What it is made of, for `doctor` and every view; `unsafe` where commands run without walls. */
  readonly kind: SandboxKind;
  /**
   * Runs one command to its end; nothing that it started lives on when the promise settles.
   * Failure of the command is a result, never an exception.
   * @throws AppError `sandbox_unavailable` with the line that mends it; GateClosed; the signal's reason when aborted
   */
  run(command: Command, signal: AbortSignal): Promise<CommandResult>;
  /** Ends the commands of the gate's folder under this token or an older one, where the gate's records lead to none. */
  endOlder?(gate: Gate): Promise<void>;
  /** For `doctor`, where what it is made of is not on this machine alone. */
  diagnose?(): Promise<Finding>;
}
