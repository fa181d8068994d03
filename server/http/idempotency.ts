import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { canonicalJson } from '../../contract/canonical-json.ts';
import type { TransactionGuard, TransactionGuards } from '../database/transaction-guards.ts';
import type { Attempt, KeptAnswer, KeyedRequests } from '../domain/idempotency/keyed-requests.ts';
import { requireVersion } from '../domain/idempotency/versions.ts';
import { AppError } from '../errors.ts';
import { expectedVersion } from './etag.ts';

declare module 'fastify' {
  interface FastifyRequest {
    attempt: Attempt | undefined;
  }
}

const keptHeaders = ['content-type', 'etag', 'location'];

/**
 * `Idempotency-Key` and `If-Match` for every route of the scope that changes something. Both are held inside the
 * transactions of the use case; to be registered after authentication.
 */
export function guardChanges(
  scope: FastifyInstance,
  parts: { keyedRequests: KeyedRequests; guards: TransactionGuards },
): void {
  const { keyedRequests, guards } = parts;
  scope.decorateRequest('attempt', undefined);
  scope.addHook('preHandler', async (request, reply) => {
    const key = readKey(request);
    if (key === undefined) return;
    const begun = await keyedRequests.begin({
      principalId: request.actor.id,
      key,
      method: request.method,
      path: request.url,
      fingerprint: fingerprintOf(request),
    });
    if ('attempt' in begun) request.attempt = begun.attempt;
    else await replay(reply, begun.answer);
  });
  scope.addHook('preHandler', (request, _reply, done) => {
    const guard = guardOf(request, keyedRequests);
    if (guard === undefined) done();
    else guards.run(guard, done);
  });
  scope.addHook('onSend', async (request, reply, payload) => {
    const { attempt } = request;
    if (attempt === undefined) return payload;
    request.attempt = undefined;
    const secret = request.routeOptions.config.secretAnswer === true && reply.statusCode < 300;
    const answer = {
      status: reply.statusCode,
      headers: headersOf(reply),
      body: secret ? null : typeof payload === 'string' ? payload : '',
    };
    await guards.outside(() => keyedRequests.finish(attempt, answer));
    return payload;
  });
}

function guardOf(request: FastifyRequest, keyedRequests: KeyedRequests): TransactionGuard | undefined {
  const { attempt } = request;
  const { access, ifMatch } = request.routeOptions.config;
  const version = ifMatch === true ? expectedVersion(request) : undefined;
  const noun = access?.within;
  const id = idOf(request.params);
  let met = false;
  const conditioned = version !== undefined && noun !== undefined && id !== undefined;
  if (attempt === undefined && !conditioned) return undefined;
  return {
    async begin(transaction) {
      if (!conditioned || met) return;
      await requireVersion(transaction, { noun, id, version });
      // What the request itself changes raises the version.
      transaction.afterCommit(() => {
        met = true;
      });
    },
    async end(transaction) {
      // Work that outlives its request is no longer part of it.
      if (attempt !== undefined && request.attempt !== undefined)
        await keyedRequests.mark(transaction, attempt);
    },
  };
}

/** @throws AppError invalid_request */
function readKey(request: FastifyRequest): string | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined || request.method === 'GET' || request.method === 'HEAD') return undefined;
  if (typeof header === 'string' && /^[\x21-\x7e]{1,200}$/.test(header)) return header;
  throw new AppError(
    'invalid_request',
    'Idempotency-Key is 1 to 200 visible ASCII characters, such as a UUID that you make anew for each request.',
  );
}

/** A body that is read as a stream is not known here: its length and its own digest header stand for it. */
function fingerprintOf(request: FastifyRequest): Buffer {
  const hash = createHash('sha256');
  const { body } = request;
  if (Buffer.isBuffer(body)) hash.update(body);
  else if (request.routeOptions.config.consumes !== undefined)
    hash.update(`${request.headers['content-length'] ?? ''} ${request.headers['content-digest'] ?? ''}`);
  else hash.update(canonicalJson(body));
  return hash.digest();
}

async function replay(reply: FastifyReply, answer: KeptAnswer): Promise<void> {
  if (answer.body === null) {
    throw new AppError(
      'answer_lost',
      'The request was carried out before, and its answer held a secret that is shown once: make another one.',
    );
  }
  // It goes out as it is: no schema is to read it again.
  reply.serializer((payload) => `${payload}`);
  await reply
    .status(answer.status)
    .headers({ ...answer.headers, 'idempotent-replayed': 'true' })
    .send(answer.body);
}

function headersOf(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(
    keptHeaders.flatMap((name) => {
      const value = reply.getHeader(name);
      return value === undefined ? [] : [[name, `${value}`]];
    }),
  );
}

function idOf(params: unknown): string | undefined {
  if (typeof params !== 'object' || params === null || !('id' in params)) return undefined;
  return typeof params.id === 'string' ? params.id : undefined;
}
