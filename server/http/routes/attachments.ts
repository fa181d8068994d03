import { z } from 'zod';
import { attachmentName, attachmentView, maxAttachmentBytes } from '../../../contract/tasks.ts';
import { keepAttachment } from '../../domain/tasks/attachments.ts';
import { AppError } from '../../errors.ts';
import { may } from '../access.ts';
import type { HttpParts, Routes } from '../parts.ts';

/** Files for tasks: each is sent whole, as it is, and named in the task afterwards. */
export function attachmentRoutes(routes: Routes, { artifacts }: HttpParts): void {
  routes.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  routes.post(
    '/attachments',
    {
      config: may('tasks:write'),
      bodyLimit: maxAttachmentBytes,
      schema: { querystring: z.object({ name: attachmentName }), response: { 201: attachmentView } },
    },
    async ({ actor, query, body }, reply) => {
      if (!Buffer.isBuffer(body))
        throw new AppError(
          'invalid_request',
          'send the file as it is, with content-type application/octet-stream',
        );
      return reply
        .status(201)
        .send(await keepAttachment(artifacts, actor, { name: query.name, bytes: body }));
    },
  );
}
