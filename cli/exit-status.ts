/** What the command's exit status means; told in `mission --help`. */
export const exitStatus = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  waitsForPerson: 5,
  interrupted: 130,
} as const;
export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus];

/** An end of the command that is told in a sentence, without a stack. */
export class CommandError extends Error {
  readonly exit: ExitStatus;
  /** The problem's stable code where the server answered with one. */
  readonly code: string;

  constructor(exit: ExitStatus, message: string, options: { code?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'CommandError';
    this.exit = exit;
    this.code = options.code ?? nameOf(exit);
  }
}

function nameOf(exit: ExitStatus): string {
  return Object.entries(exitStatus).find(([, status]) => status === exit)?.[0] ?? 'failed';
}
