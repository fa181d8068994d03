/** An expected failure: a stable code, a sentence that says what to do, and the HTTP status it maps to. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly detail: Record<string, unknown>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; detail?: Record<string, unknown> } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.detail = options.detail ?? {};
  }
}

/** Every code the product answers with, and its status. The code is the problem's stable `type`. */
export const errorStatus = {
  invalid_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  foreign_host: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  stale_lease: 409,
  already_decided: 409,
  wrong_state: 409,
  request_in_flight: 409,
  answer_lost: 409,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  unprocessable: 422,
  repository_unusable: 422,
  no_such_branch: 422,
  sandbox_unavailable: 422,
  setup_failed: 422,
  rate_limited: 429,
  internal: 500,
  database_unavailable: 503,
  not_ready: 503,
  too_many_connections: 503,
  port_taken: 503,
  data_in_use: 503,
  newer_database: 503,
} as const satisfies Record<string, number>;
export type ErrorCode = keyof typeof errorStatus;

/** The worker no longer holds the run's lease: nothing further of that run may start here. */
export class LeaseLost extends Error {
  constructor(runId: string) {
    super(`the lease of ${runId} is held elsewhere`);
    this.name = 'LeaseLost';
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
