import { z } from 'zod';
import { metadata } from './tasks.ts';

const commands = z.array(z.string().trim().min(1).max(2_000)).max(20);

export const projectView = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  /** Null where it is a body of work without a repository. */
  repository: z.string().nullable(),
  /** What its tasks are checked with, where they say nothing themselves; null: discovered. */
  checks: z.array(z.string()).nullable(),
  setup: z.array(z.string()).nullable(),
  /** False: what is done is completed without a person's look. */
  reviewRequired: z.boolean(),
  metadata,
  /** Tasks that have not ended; 1,000 where there are that many or more. */
  openTasks: z.number(),
  version: z.number(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type ProjectView = z.infer<typeof projectView>;

export const createProjectBody = z.strictObject({
  name: z.string().trim().min(1).max(200),
  description: z.string().trim().max(20_000).optional(),
  /** As of a task. */
  repository: z.string().trim().min(1).max(4_096).optional(),
  checks: commands.optional(),
  setup: commands.optional(),
  reviewRequired: z.boolean().optional(),
  metadata: metadata.optional(),
});
export type CreateProjectBody = z.infer<typeof createProjectBody>;

export const updateProjectBody = z.strictObject({
  name: z.string().trim().min(1).max(200).optional(),
  description: z.string().trim().max(20_000).optional(),
  checks: commands.nullable().optional(),
  setup: commands.nullable().optional(),
  reviewRequired: z.boolean().optional(),
  metadata: metadata.optional(),
});
export type UpdateProjectBody = z.infer<typeof updateProjectBody>;
