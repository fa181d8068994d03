import {
  chainHeadView,
  readChainPlace,
  verifyQuery,
  verifyView,
  writeChainPlace,
} from '../../../contract/audit.ts';
import { genesis, readChainHead, walkChain } from '../../events/verify.ts';
import { may } from '../access.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function auditRoutes(
  routes: Routes,
  { database, anchors }: Pick<HttpParts, 'database' | 'anchors'>,
): void {
  routes.get(
    '/audit/head',
    { config: may('audit:read'), schema: { response: { 200: chainHeadView } } },
    async () => {
      const head = await readChainHead(database);
      return { ...head, anchor: writeChainPlace(head) };
    },
  );

  // A part of the walk at a time, so that no request is long and whoever asks shows how far it is.
  routes.get(
    '/audit/verify',
    { config: may('audit:read'), schema: { querystring: verifyQuery, response: { 200: verifyView } } },
    async ({ query }) => {
      const from = query.from === undefined ? genesis : readChainPlace(query.from);
      const given = query.anchor === undefined ? [] : [readChainPlace(query.anchor)];
      const places = [...(await anchors.read()), ...given];
      const { place, fault, ended } = await walkChain(database, from, query.limit, places);
      const head = await readChainHead(database);
      return {
        place: writeChainPlace(place),
        sequence: place.sequence,
        head: head.sequence,
        ended,
        fault,
        anchors: places.length,
      };
    },
  );
}
