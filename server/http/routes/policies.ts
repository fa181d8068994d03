import { z } from 'zod';
import {
  addRuleBody,
  policyExplanation,
  policyRuleView,
  policyView,
  removeRuleBody,
  testPolicyBody,
} from '../../../contract/policies.ts';
import { addRule, listRules, removeRule } from '../../domain/policies/policies.ts';
import { may } from '../access.ts';
import { largestInteger } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function policyRoutes(routes: Routes, parts: HttpParts): void {
  const { database, policy } = parts;

  routes.get(
    '/policy/rules',
    {
      config: may('policy:read'),
      schema: {
        querystring: z.object({
          /** With the rules that were removed. */
          history: z.enum(['true', 'false']).default('false'),
          limit: z.coerce.number().int().min(1).max(1_000).default(1_000),
        }),
        response: { 200: policyView },
      },
    },
    ({ actor, query }) =>
      listRules(database, actor, { history: query.history === 'true', limit: query.limit }),
  );

  routes.post(
    '/policy/rules',
    { config: may('policy:manage'), schema: { body: addRuleBody, response: { 201: policyRuleView } } },
    async ({ actor, body }, reply) => reply.status(201).send(await addRule(database, actor, body)),
  );

  routes.post(
    '/policy/rules/:number/remove',
    {
      config: may('policy:manage'),
      schema: {
        params: z.object({ number: z.coerce.number().int().positive().max(largestInteger) }),
        body: removeRuleBody,
        response: { 200: policyRuleView },
      },
    },
    ({ actor, params, body }) => removeRule(database, actor, params.number, body.why),
  );

  routes.post(
    '/policy/test',
    { config: may('policy:read'), schema: { body: testPolicyBody, response: { 200: policyExplanation } } },
    ({ actor, body }) => policy.test(actor, body),
  );
}
