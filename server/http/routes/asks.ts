import { z } from 'zod';
import { askReport, askView, decideAskBody } from '../../../contract/asks.ts';
import { decideAsk, findAsk, listAsks } from '../../domain/asks/asks.ts';
import { AppError } from '../../errors.ts';
import { may } from '../access.ts';
import { idParams, pageOf, pageQuery, readPage } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function askRoutes(routes: Routes, parts: HttpParts): void {
  const { database, now } = parts;

  routes.get(
    '/asks',
    {
      config: may('asks:read'),
      schema: {
        querystring: z.object({ status: askView.shape.status.optional(), ...pageQuery }),
        response: { 200: pageOf(askView) },
      },
    },
    ({ actor, query }) =>
      readPage(query, (page) => listAsks(database, { status: query.status, actor, ...page })),
  );

  routes.get(
    '/asks/report',
    {
      config: may('asks:read'),
      schema: {
        querystring: z.object({ days: z.coerce.number().int().min(1).max(3_650).default(30) }),
        response: { 200: askReport },
      },
    },
    ({ actor, query }) => parts.policy.report(actor, query.days),
  );

  routes.get(
    '/asks/:id',
    { config: may('asks:read', 'ask'), schema: { params: idParams, response: { 200: askView } } },
    async ({ params }) => {
      const ask = await findAsk(database, params.id);
      if (ask === undefined) throw new AppError('not_found', `there is no ask ${params.id}`);
      return ask;
    },
  );

  routes.post(
    '/asks/:id/decide',
    {
      config: { ...may('asks:decide', 'ask'), ifMatch: true },
      schema: { params: idParams, body: decideAskBody, response: { 200: askView } },
    },
    (request) => decideAsk(database, request.actor, request.params.id, request.body, now()),
  );
}
