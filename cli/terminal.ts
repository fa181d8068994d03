import pico from 'picocolors';

export type Colors = ReturnType<typeof pico.createColors>;

/** How lines are drawn. */
export interface Style {
  colors: Colors;
  /** Characters of a line. */
  width: number;
}

/** Data goes to `out`, talk to `err`. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  style: Style;
  /** Style of what is said on `err`. */
  talk: Style;
  /** True where a person can be asked. */
  interactive: boolean;
}

/** The process's own streams. A reader that went away (`| head`) ends the command quietly. */
export function openTerminal(options: { color: boolean; input: boolean }): Terminal {
  const { stdout, stderr, stdin, env } = process;
  stdout.on('error', endQuietly);
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const widthOf = (stream: NodeJS.WriteStream) => Math.min(Math.max(stream.columns ?? 100, 40), 110);
  const wants = (stream: NodeJS.WriteStream) => options.color && wantsColor(env, stream.isTTY === true);
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    style: { colors: pico.createColors(wants(stdout)), width: widthOf(stdout) },
    talk: { colors: pico.createColors(wants(stderr)), width: widthOf(stderr) },
    interactive: options.input && stdin.isTTY === true && stderr.isTTY === true,
  };
}

export function wantsColor(env: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false;
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '0') return true;
  return isTerminal && env.TERM !== 'dumb';
}

function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
}
