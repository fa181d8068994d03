import type { z } from 'zod';
import { problem } from '../contract/system.ts';

/** What the server answered instead of what was asked for; the message is its sentence that says what to do. */
export class ApiProblem extends Error {
  readonly status: number;
  /** Stable; the last part of the problem's `type`. */
  readonly code: string;
  /** What does not fit in the body that was sent, field by field. */
  readonly issues: readonly { path: string; message: string }[];
  /** Null where the server named no time. */
  readonly retryAfterMs: number | null;

  constructor(answer: {
    status: number;
    code: string;
    detail: string;
    issues?: readonly { path: string; message: string }[];
    retryAfterMs?: number | null;
  }) {
    super(answer.detail);
    this.name = 'ApiProblem';
    this.status = answer.status;
    this.code = answer.code;
    this.issues = answer.issues ?? [];
    this.retryAfterMs = answer.retryAfterMs ?? null;
  }
}

/** No answer came: the server or the way to it is gone, or it took too long. */
export class Unreachable extends Error {
  readonly timedOut: boolean;

  constructor(cause: unknown) {
    super('The server does not answer. Nothing was changed, as far as this side knows.', { cause });
    this.name = 'Unreachable';
    this.timedOut = isTimeout(cause);
  }
}

/** An answer that this version does not know how to read. */
export class UnexpectedAnswer extends Error {
  readonly path: string;

  constructor(path: string, error: z.ZodError) {
    super(`The server answered ${path} in a form that this version does not know: ${error.message}`, {
      cause: error,
    });
    this.name = 'UnexpectedAnswer';
    this.path = path;
  }
}

export async function readProblem(response: Response): Promise<ApiProblem> {
  const text = await response.text();
  const parsed = problem.safeParse(parseJson(text));
  const { status } = response;
  const retryAfterMs = readRetryAfter(response.headers.get('retry-after'));
  if (!parsed.success) {
    const detail = `The server answered with status ${status}: ${text.slice(0, 300)}`;
    return new ApiProblem({ status, code: 'unknown', detail, retryAfterMs });
  }
  const { code, detail, issues } = parsed.data;
  return new ApiProblem({ status, code, detail, retryAfterMs, ...(issues === undefined ? {} : { issues }) });
}

/** Undefined where it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

function readRetryAfter(header: string | null): number | null {
  if (header === null) return null;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}
