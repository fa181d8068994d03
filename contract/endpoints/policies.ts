import { z } from 'zod';
import { askReport } from '../asks.ts';
import {
  addRuleBody,
  policyExplanation,
  policyRuleView,
  policyView,
  removeRuleBody,
  testPolicyBody,
} from '../policies.ts';
import { defineEndpoints } from './endpoint.ts';

/** What agents may do, and how often people are asked about it. */
export const policyEndpoints = defineEndpoints({
  listRules: {
    method: 'GET',
    path: '/policy/rules',
    tag: 'policy',
    summary: 'List the rules of the policy, newest first',
    query: z.object({ history: z.enum(['true', 'false']).optional(), limit: z.number().int().optional() }),
    answer: policyView,
  },
  addRule: {
    method: 'POST',
    path: '/policy/rules',
    tag: 'policy',
    summary: 'Add a rule, as a new version of the policy',
    body: addRuleBody,
    answer: policyRuleView,
  },
  removeRule: {
    method: 'POST',
    path: '/policy/rules/{number}/remove',
    tag: 'policy',
    summary: 'Remove a rule, as a new version of the policy',
    body: removeRuleBody,
    answer: policyRuleView,
  },
  testPolicy: {
    method: 'POST',
    path: '/policy/test',
    tag: 'policy',
    summary: 'Judge a call that nobody makes, and explain the judgement',
    body: testPolicyBody,
    answer: policyExplanation,
  },
  reportAsks: {
    method: 'GET',
    path: '/asks/report',
    tag: 'asks',
    summary: 'Count asks per completed task, and find the rule that would have spared most',
    query: z.object({ days: z.number().int().optional() }),
    answer: askReport,
  },
});
