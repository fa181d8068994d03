import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { artifactQuery, artifactView } from '../../../contract/artifacts.ts';
import type { Artifact } from '../../domain/artifacts/artifacts.ts';
import { getArtifact, listArtifacts, receiveArtifact } from '../../domain/artifacts/sent-artifacts.ts';
import { AppError } from '../../errors.ts';
import { may } from '../access.ts';
import { readRange } from '../byte-range.ts';
import { idParams, pageOf, pageQuery, readPage } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function artifactRoutes(routes: Routes, parts: HttpParts): void {
  const { database, artifacts, artifactBytes } = parts;
  const context = { database, artifacts, mostBytes: artifactBytes };

  void routes.register((plain, _options, done) => {
    const scope = plain.withTypeProvider<ZodTypeProvider>();
    // Whatever is sent is content, JSON as well, and is read as it comes.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, body, parsed) => parsed(null, body));
    scope.post(
      '/artifacts',
      {
        config: { ...may('artifacts:write'), consumes: 'application/octet-stream' },
        bodyLimit: artifactBytes,
        schema: { querystring: artifactQuery, response: { 201: artifactView } },
      },
      async ({ actor, query, body }, reply) => {
        const content = body instanceof Readable ? body : Readable.from([]);
        const sent = await receiveArtifact(context, actor, { ...query, content });
        return reply.status(201).header('location', `/api/v1/artifacts/${sent.id}`).send(sent);
      },
    );
    done();
  });

  routes.get(
    '/artifacts',
    {
      config: may('artifacts:read'),
      schema: {
        querystring: z.object({ run: z.string().optional(), task: z.string().optional(), ...pageQuery }),
        response: { 200: pageOf(artifactView) },
      },
    },
    ({ actor, query: { run, task, ...query } }) =>
      readPage(query, (page) => listArtifacts(database, { actor, run, task, ...page })),
  );

  routes.get(
    '/artifacts/:id',
    {
      config: may('artifacts:read', 'artifact'),
      schema: { params: idParams, response: { 200: artifactView } },
    },
    ({ params }) => getArtifact(database, params.id),
  );

  routes.get(
    '/artifacts/:id/content',
    {
      config: {
        ...may('artifacts:read', 'artifact'),
        produces: { 200: 'application/octet-stream', 206: 'application/octet-stream' },
      },
      schema: { params: idParams },
    },
    async (request, reply) => {
      const artifact = await artifacts.find(database, request.params.id);
      return sendContent(request, reply, artifact);
    },
  );
}

/** @throws AppError range_not_satisfiable */
function sendContent(
  request: FastifyRequest,
  reply: FastifyReply,
  artifact: Artifact & { path: string },
): FastifyReply {
  const size = Number(artifact.size);
  const tag = `"${artifact.hash}"`;
  // Never shown as a page: what agents wrote is data.
  void reply
    .header('content-type', 'application/octet-stream')
    .header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(artifact.name)}`)
    .header('x-content-type-options', 'nosniff')
    .header('accept-ranges', 'bytes')
    .header('etag', tag);
  const { 'if-range': condition, 'if-none-match': known, range: wanted } = request.headers;
  if (known?.split(',').some((each) => each.trim() === tag || each.trim() === '*')) {
    return reply.status(304).removeHeader('content-type').send();
  }
  const range = condition === undefined || condition === tag ? readRange(wanted, size) : null;
  if (range === 'unsatisfiable') {
    void reply.header('content-range', `bytes */${size}`);
    throw new AppError('range_not_satisfiable', `The content has ${size} bytes; ask for a part of these.`);
  }
  const { first, last } = range ?? { first: 0, last: size - 1 };
  if (range !== null) void reply.status(206).header('content-range', `bytes ${first}-${last}/${size}`);
  void reply.header('content-length', last - first + 1);
  // A stream, so that the length above is not taken for that of nothing.
  if (request.method === 'HEAD' || size === 0) return reply.send(Readable.from([]));
  return reply.send(createReadStream(artifact.path, { start: first, end: last }));
}
