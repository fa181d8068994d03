import { spawn } from 'node:child_process';

/** A program with its arguments, and the user it runs as where that is not ours. */
export interface Invocation {
  argv: string[];
  uid?: number;
  gid?: number;
}

interface ProgramResult {
  /** null where a signal ended it, or where it could not be started. */
  exitCode: number | null;
  /** Both streams, the last 16 KB. */
  output: string;
}

/** Runs a short program of the system to its end; it is killed after `timeoutMs` (default 60 s). */
export function run(
  invocation: Invocation,
  options: {
    env: Record<string, string>;
    input?: string;
    inherit?: number;
    timeoutMs?: number;
    cwd?: string;
  },
): Promise<ProgramResult> {
  const { argv, ...user } = invocation;
  const [program = '', ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      ...user,
      env: options.env,
      cwd: options.cwd ?? '/',
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL',
      stdio: ['pipe', 'pipe', 'pipe', options.inherit ?? 'ignore'],
    });
    let output = '';
    const take = (chunk: string) => {
      output = (output + chunk).slice(-16_384);
    };
    child.stdout?.setEncoding('utf8').on('data', take);
    child.stderr?.setEncoding('utf8').on('data', take);
    child.on('error', (error) => resolve({ exitCode: null, output: `${output}${error.message}` }));
    child.on('close', (exitCode) => resolve({ exitCode, output }));
    // A program that ends without reading its input breaks the pipe; its exit status says what was wrong.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
  });
}
