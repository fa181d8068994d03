import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import type { Problem } from '../../contract/system.ts';
import { AppError, type ErrorCode, errorStatus } from '../errors.ts';
import type { Logger } from '../log.ts';

declare module 'fastify' {
  interface FastifyReply {
    /** The code of the problem that it tells of; null where it tells of none. */
    problem: string | null;
  }
}

/** The one place where failures become answers: RFC 9457, with a sentence that says what to do. */
export function answerProblem(log: Logger) {
  return (error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void => {
    const problem = { ...describe(error, request), requestId: request.id };
    const trace = request.trace;
    if (problem.status >= 500 && problem.code === 'internal')
      log.error(
        { error, path: request.url, requestId: request.id, ...(trace && { trace_id: trace.traceId }) },
        'a request failed',
      );
    reply.problem = problem.code;
    const retryAfter = error instanceof AppError ? error.detail['retryAfterSeconds'] : undefined;
    if (typeof retryAfter === 'number') void reply.header('retry-after', retryAfter);
    void reply.status(problem.status).type('application/problem+json').send(problem);
  };
}

function describe(error: FastifyError | Error, request: FastifyRequest): Problem {
  if (error instanceof AppError) return makeProblem(error.code, error.message);
  if (hasZodFastifySchemaValidationErrors(error)) {
    const issues = error.validation.map((issue) => ({
      path: issue.instancePath.replace(/^\//, '').replaceAll('/', '.'),
      message: issue.message ?? 'not as expected',
    }));
    const listed = issues.map((issue) => `${issue.path || 'body'}: ${issue.message}`).join('; ');
    return {
      ...makeProblem(
        'invalid_request',
        `The request does not fit ${request.method} ${request.routeOptions.url ?? request.url}: ${listed}`,
      ),
      issues,
    };
  }
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) return makeProblem('too_large', 'The body is too large for this address.');
  if (status === 415) {
    return makeProblem(
      'unsupported_media_type',
      'Send the body as JSON, with content-type application/json.',
    );
  }
  if (status !== undefined && status >= 400 && status < 500)
    return makeProblem('invalid_request', error.message);
  return makeProblem(
    'internal',
    'Something went wrong on our side; the server log says what. Nothing of the request was kept half done.',
  );
}

export function makeProblem(code: ErrorCode, detail: string): Problem {
  return {
    type: `https://mission-control.dev/problems/${code}`,
    title: code.replaceAll('_', ' '),
    status: errorStatus[code],
    detail,
    code,
  };
}
