import { z } from 'zod';
import { metadata, skills } from './tasks.ts';

/** `busy` works on as much as it can, `active` on something, `idle` on nothing. */
export const agentStatus = z.enum(['active', 'idle', 'busy', 'offline', 'suspended']);

const agentName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, 'small letters, digits and . _ - such as crawler-2');

export const agentView = z.object({
  id: z.string(),
  name: z.string(),
  role: z.string(),
  /** `builtin`: our own loop works as it. `foreign`: a program that claims tasks over the API. */
  runtime: z.enum(['builtin', 'foreign']),
  status: agentStatus,
  /** Null for a foreign agent: it is not known here. */
  model: z.string().nullable(),
  skills,
  /** The most that it works on at once; null: as many as the workers take. */
  capacity: z.number().nullable(),
  /** Runs that it works on now. */
  runs: z.number(),
  /** A foreign agent that is silent for twice as long is offline; null for our own. */
  heartbeatSeconds: z.number().nullable(),
  lastSeenAt: z.string().nullable(),
  suspendedBy: z.string().nullable(),
  metadata,
  version: z.number(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type AgentView = z.infer<typeof agentView>;

const capacity = z.number().int().min(1).max(1_000);
const heartbeatSeconds = z.number().int().min(5).max(3_600);

export const registerAgentBody = z.strictObject({
  name: agentName,
  role: z.string().trim().min(1).max(100).optional(),
  skills: skills.optional(),
  capacity: capacity.optional(),
  heartbeatSeconds: heartbeatSeconds.optional(),
  metadata: metadata.optional(),
});
export type RegisterAgentBody = z.infer<typeof registerAgentBody>;

/** The key is shown this once; null where the agent was there before. */
export const registeredAgent = z.object({ agent: agentView, key: z.string().nullable() });

export const updateAgentBody = z.strictObject({
  role: z.string().trim().min(1).max(100).optional(),
  skills: skills.optional(),
  capacity: capacity.nullable().optional(),
  heartbeatSeconds: heartbeatSeconds.optional(),
  metadata: metadata.optional(),
});
export type UpdateAgentBody = z.infer<typeof updateAgentBody>;

export const suspendAgentBody = z.strictObject({ reason: z.string().trim().max(2_000).default('') });
