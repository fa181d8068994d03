import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True where the use case behind the route holds `If-Match` against the row, inside its transaction. */
    ifMatch?: boolean;
  }
  interface FastifyRequest {
    /** The `version` of the answer's body, where it has one. */
    answerVersion: number | undefined;
  }
}

/**
 * Every JSON answer gets an entity tag: the version of what it shows, where that has one, and a hash of the
 * whole, because a view can change without its row. A GET that names the tag again is answered 304.
 */
export function tagAnswers(server: FastifyInstance): void {
  server.decorateRequest('answerVersion', undefined);
  server.addHook('onRequest', refuseUselessCondition);
  server.addHook('preSerialization', async (request, _reply, payload) => {
    request.answerVersion = versionOf(payload);
    return payload;
  });
  server.addHook('onSend', async (request, reply, payload) => {
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const tagged = reads || request.answerVersion !== undefined;
    if (typeof payload !== 'string' || !tagged || reply.statusCode >= 300 || !isJson(reply)) return payload;
    const tag = makeTag(request.answerVersion, payload);
    void reply.header('etag', tag);
    if (!reads || !names(request.headers['if-none-match'], tag)) return payload;
    void reply.status(304).removeHeader('content-type').removeHeader('content-length');
    return '';
  });
}

/**
 * The version that the sender of `If-Match` has seen; undefined where it sent none, or `*`. Give it to the use
 * case, which compares it inside its transaction.
 * @throws AppError precondition_failed where the tag is none of ours
 */
export function expectedVersion(request: Pick<FastifyRequest, 'headers'>): number | undefined {
  const header = request.headers['if-match'];
  if (header === undefined || header.trim() === '*') return undefined;
  const version = header.trim().match(/^"(\d{1,15})(?:-[\w-]+)?"$/)?.[1];
  if (version !== undefined) return Number(version);
  throw new AppError(
    'precondition_failed',
    'If-Match must hold one ETag, as a GET of this address answered it, such as "7-x5Yz".',
  );
}

/** A condition that nobody would hold against anything must not pass as if it had been met. */
async function refuseUselessCondition(request: FastifyRequest): Promise<void> {
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (reads || request.headers['if-match'] === undefined || request.is404) return;
  if (request.routeOptions.config.ifMatch !== true) {
    throw new AppError(
      'invalid_request',
      `${request.method} ${request.routeOptions.url ?? ''} takes no If-Match: send it without that header.`,
    );
  }
}

function makeTag(version: number | undefined, payload: string): string {
  const hash = createHash('sha256').update(payload).digest('base64url').slice(0, 16);
  return version === undefined ? `"${hash}"` : `"${version}-${hash}"`;
}

function names(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === tag);
}

function versionOf(payload: unknown): number | undefined {
  if (typeof payload !== 'object' || payload === null || !('version' in payload)) return undefined;
  return typeof payload.version === 'number' ? payload.version : undefined;
}

function isJson(reply: FastifyReply): boolean {
  return `${reply.getHeader('content-type') ?? ''}`.startsWith('application/json');
}
