import type { PolicyRule } from '../../../contract/policies.ts';

/** What the developer may do: all that stays in its own workspace. */
export const developerPolicy: PolicyRule[] = [
  { effect: 'allow', tool: '*', touches: 'read' },
  { effect: 'allow', tool: '*', touches: 'workspace' },
  { effect: 'ask', tool: '*', touches: 'external' },
];
