import { z } from 'zod';
import { budgetFilter, budgetRecord, setBudgetBody } from '../budgets.ts';
import {
  createdKey,
  createKeyBody,
  createPrincipalBody,
  keyView,
  principalView,
  setPasswordBody,
  updatePrincipalBody,
} from '../principals.ts';
import { defineEndpoints, items } from './endpoint.ts';

/** Who may do what, and spend what. */
export const peopleEndpoints = defineEndpoints({
  listPrincipals: {
    method: 'GET',
    path: '/principals',
    tag: 'principals',
    summary: 'List people, services and agents',
    answer: items(principalView),
  },
  createPrincipal: {
    method: 'POST',
    path: '/principals',
    tag: 'principals',
    summary: 'Add somebody',
    body: createPrincipalBody,
    answer: principalView,
  },
  getMe: {
    method: 'GET',
    path: '/principals/me',
    tag: 'principals',
    summary: 'Read who asks, and what the key allows',
    answer: principalView.extend({ permissions: z.array(z.string()) }),
  },
  getPrincipal: {
    method: 'GET',
    path: '/principals/{id}',
    tag: 'principals',
    summary: 'Read one',
    answer: principalView,
  },
  updatePrincipal: {
    method: 'PATCH',
    path: '/principals/{id}',
    tag: 'principals',
    summary: 'Change a role or its projects, or disable somebody',
    body: updatePrincipalBody,
    answer: principalView,
  },
  setPassword: {
    method: 'PUT',
    path: '/principals/{id}/password',
    tag: 'principals',
    summary: 'Set a password for the dashboard',
    body: setPasswordBody,
    answer: 'nothing',
  },
  listKeys: {
    method: 'GET',
    path: '/keys',
    tag: 'principals',
    summary: 'List keys',
    query: z.object({ principal: z.string().optional(), all: z.enum(['true', 'false']).optional() }),
    answer: items(keyView),
  },
  createKey: {
    method: 'POST',
    path: '/keys',
    tag: 'principals',
    summary: 'Make a key; it is shown in this answer alone',
    body: createKeyBody,
    answer: createdKey,
  },
  revokeKey: {
    method: 'DELETE',
    path: '/keys/{id}',
    tag: 'principals',
    summary: 'Revoke a key',
    answer: 'nothing',
  },
  listBudgets: {
    method: 'GET',
    path: '/budgets',
    tag: 'budgets',
    summary: 'List budgets',
    query: budgetFilter,
    answer: items(budgetRecord),
  },
  setBudget: {
    method: 'PUT',
    path: '/budgets/{scope}/{key}',
    tag: 'budgets',
    summary: 'Set what may be spent',
    body: setBudgetBody,
    answer: budgetRecord,
  },
  removeBudget: {
    method: 'DELETE',
    path: '/budgets/{scope}/{key}',
    tag: 'budgets',
    summary: 'Take a budget’s limits away',
    answer: budgetRecord,
  },
});
