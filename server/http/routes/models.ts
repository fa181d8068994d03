import { z } from 'zod';
import {
  modelName,
  modelsView,
  providerName,
  providerView,
  putPriceBody,
  putProviderBody,
  testedModel,
  testModelBody,
} from '../../../contract/models.ts';
import { AppError } from '../../errors.ts';
import { may } from '../access.ts';
import type { HttpParts, Routes } from '../parts.ts';

const providerParams = z.object({ name: providerName });
const modelParams = z.object({ model: modelName });

export function modelRoutes(routes: Routes, parts: HttpParts): void {
  const { models, secrets } = parts;

  routes.get(
    '/models',
    { config: may('system:read'), schema: { response: { 200: modelsView } } },
    async () => ({
      models: await models.list(),
      providers: await models.registry.views(),
    }),
  );

  routes.post(
    '/models/test',
    { config: may('system:manage'), schema: { body: testModelBody, response: { 200: testedModel } } },
    ({ actor, body }) => models.test(actor, body.model),
  );

  // The model's slash is written %2F here.
  routes.put(
    '/models/:model/price',
    {
      config: may('system:manage'),
      schema: { params: modelParams, body: putPriceBody, response: { 200: modelsView.shape.models.element } },
    },
    async ({ actor, params, body }) => {
      const known = (await models.registry.views()).map(({ name }) => name);
      const provider = params.model.slice(0, params.model.indexOf('/'));
      if (!known.includes(provider)) {
        throw new AppError(
          'unprocessable',
          `${params.model} begins with ${provider}, and no provider has that name; there are: ${known.join(', ') || 'none'}.`,
        );
      }
      await models.registry.putPrice(actor, params.model, body);
      const priced = (await models.list()).find(({ model }) => model === params.model);
      if (priced === undefined) {
        throw new AppError(
          'unprocessable',
          `The price is kept, but the provider ${provider} is not connected yet.`,
        );
      }
      return priced;
    },
  );

  routes.put(
    '/providers/:name',
    {
      config: may('credentials:manage'),
      schema: { params: providerParams, body: putProviderBody, response: { 200: providerView } },
    },
    async ({ actor, params, body }) => {
      if (body.apiKey != null) secrets.expect({ name: params.name, value: body.apiKey });
      const view = await models.registry.put(actor, params.name, body);
      if (view === undefined) throw new AppError('conflict', `${params.name} was removed at the same moment`);
      return view;
    },
  );

  routes.delete(
    '/providers/:name',
    { config: may('credentials:manage'), schema: { params: providerParams, response: { 204: z.null() } } },
    async (request, reply) => {
      await models.registry.remove(request.actor, request.params.name);
      return reply.status(204).send(null);
    },
  );
}
