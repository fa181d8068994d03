import { budgetFilter, budgetParams, budgetRecord, setBudgetBody } from '../../../contract/budgets.ts';
import { listBudgets, removeBudget, setBudget } from '../../domain/budgets/manage-budgets.ts';
import { may } from '../access.ts';
import { listOf } from '../lists.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function budgetRoutes(routes: Routes, { database, now }: HttpParts): void {
  routes.get(
    '/budgets',
    {
      config: may('budgets:read'),
      schema: { querystring: budgetFilter, response: { 200: listOf(budgetRecord) } },
    },
    async (request) => ({ items: await listBudgets(database, request.actor, request.query) }),
  );

  routes.put(
    '/budgets/:scope/:key',
    {
      config: may('budgets:manage'),
      schema: { params: budgetParams, body: setBudgetBody, response: { 200: budgetRecord } },
    },
    (request) => setBudget({ database, now }, request.actor, request.params, request.body),
  );

  routes.delete(
    '/budgets/:scope/:key',
    {
      config: may('budgets:manage'),
      schema: { params: budgetParams, response: { 200: budgetRecord } },
    },
    (request) => removeBudget({ database, now }, request.actor, request.params),
  );
}
