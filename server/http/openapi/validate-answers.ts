import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../../log.ts';
import { makeProblem } from '../problems.ts';
import type { Answer, AnswerJudge } from './answer-judge.ts';
import { makeDocument, templateOf } from './document.ts';
import type { ServedRoute } from './routes.ts';

/**
 * Holds every answer of the API against the document that describes it. One that is not in it goes out as a
 * fault of ours, and the log says why. For tests: it costs more than the answer itself.
 */
export function validateAnswers(server: FastifyInstance, routes: readonly ServedRoute[], log: Logger): void {
  let judge: Promise<AnswerJudge> | undefined;
  const openJudge = async () => {
    const { AnswerJudge } = await import('./answer-judge.ts');
    return new AnswerJudge(makeDocument(routes));
  };
  server.addHook('onSend', async (request, reply, payload) => {
    if (!request.url.startsWith('/api/') || request.method === 'HEAD') return payload;
    judge ??= openJudge();
    const fault = (await judge).judge(describeAnswer(request, reply, payload));
    if (fault === null) return payload;
    const detail = `This answer is not in the OpenAPI document: ${fault}`;
    log.error({ method: request.method, path: request.url, status: reply.statusCode }, detail);
    void reply.status(500).type('application/problem+json').removeHeader('content-length');
    return JSON.stringify(makeProblem('internal', detail));
  });
}

function describeAnswer(request: FastifyRequest, reply: FastifyReply, payload: unknown): Answer {
  return {
    method: request.method.toLowerCase(),
    path: request.is404 ? null : templateOf(request.routeOptions.url ?? ''),
    status: reply.statusCode,
    media: `${reply.getHeader('content-type') ?? ''}`.split(';')[0]?.trim() ?? '',
    body: typeof payload === 'string' ? payload : payload === null || payload === undefined ? '' : undefined,
  };
}
