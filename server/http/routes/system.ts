import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { finding, statusView } from '../../../contract/system.ts';
import { readStatus } from '../../domain/status/status.ts';
import { may } from '../access.ts';
import { idParams } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function systemRoutes(routes: Routes, parts: HttpParts): void {
  const { database, artifacts, present, version } = parts;

  routes.get('/status', { config: may('system:read'), schema: { response: { 200: statusView } } }, () =>
    readStatus(database, present, version),
  );

  routes.get(
    '/doctor',
    {
      config: may('system:read'),
      schema: {
        // A test call costs a little money, so it is asked for.
        querystring: z.object({ test: z.enum(['true', 'false']).default('false') }),
        response: { 200: z.object({ findings: z.array(finding) }) },
      },
    },
    async ({ actor, query }) => ({
      findings: await parts.doctor(actor, { test: query.test === 'true' }),
    }),
  );

  routes.get(
    '/artifacts/:id/content',
    { config: may('artifacts:read', 'artifact'), schema: { params: idParams } },
    async ({ params }, reply) => {
      const artifact = await artifacts.find(database, params.id);
      // Never shown as a page: what agents wrote is data.
      return reply
        .header('content-type', 'application/octet-stream')
        .header('content-disposition', 'attachment')
        .header('x-content-type-options', 'nosniff')
        .header('content-length', artifact.size)
        .send(createReadStream(artifact.path));
    },
  );
}
