import { z } from 'zod';
import { finding, statusView } from '../../../contract/system.ts';
import { readStatus } from '../../domain/status/status.ts';
import { may } from '../access.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function systemRoutes(routes: Routes, parts: HttpParts): void {
  const { database, present, version } = parts;

  routes.get(
    '/status',
    { config: may('system:read'), schema: { response: { 200: statusView } } },
    ({ actor }) => readStatus(database, present, actor, version),
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
}
