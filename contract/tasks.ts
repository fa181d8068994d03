import { z } from 'zod';
import { runView } from './runs.ts';
import { waiting } from './waiting.ts';

export const taskStatuses = [
  'pending',
  'in_progress',
  'blocked',
  'in_review',
  'completed',
  'failed',
  'cancelled',
] as const;
export const taskStatus = z.enum(taskStatuses);
export type TaskStatus = z.infer<typeof taskStatus>;

const priorityAliases: Record<string, string> = { P0: 'critical', P1: 'high', P2: 'medium', P3: 'low' };
export const priority = z
  .string()
  .transform((value) => priorityAliases[value.toUpperCase()] ?? value)
  .pipe(z.enum(['low', 'medium', 'high', 'critical']));

/** A folder of the repository, such as `packages/core`: no part of it may lead out. */
export const repositoryFolder = z
  .string()
  .trim()
  .max(1_000)
  .transform((value) => value.replace(/\/{2,}/g, '/').replace(/^(\.\/)+|\/$/g, ''))
  .refine(
    (value) =>
      !value.startsWith('/') &&
      !value.includes('\0') &&
      !value.split('/').some((part) => part === '..' || part === '.' || /^\.git$/i.test(part)),
    'it must be a folder inside the repository, such as packages/core',
  );

/** What checks can need running beside them; it is started for each check and ended with it. */
export const service = z.enum(['postgresql', 'redis']);
export type Service = z.infer<typeof service>;

const commandLine = z.string().trim().min(1).max(2_000);

export const maxAttachmentBytes = 10 * 1024 ** 2;
export const mostAttachments = 20;

/** A plain file name: what the agent sees the file as. */
export const attachmentName = z
  .string()
  .regex(
    /^[\p{L}\p{N}_][\p{L}\p{N}_ .()+@-]{0,99}$/u,
    'a file name of letters, digits and . _ - ( ) + @, such as screen.png',
  );

/** A file that was sent to be given with a task. */
export const attachmentView = z.object({
  id: z.string(),
  name: z.string(),
  /** Bytes. */
  size: z.number(),
  mediaType: z.string(),
});
export type AttachmentView = z.infer<typeof attachmentView>;

export const createTaskBody = z.strictObject({
  /** What is wanted, in words; the agent reads it as its task. */
  instructions: z.string().trim().min(1).max(100_000),
  title: z.string().trim().min(1).max(200).optional(),
  /** An absolute path on the server's machine, a file:, http:, https: or ssh: URL, or git@host:path. */
  repository: z.string().trim().min(1).max(4_096),
  branch: z.string().trim().min(1).max(250).optional(),
  /** Where checks and set-up run and are looked for; the repository's root where it is not given. */
  folder: repositoryFolder.optional(),
  /** Shell lines that must pass; discovered in the repository where there are none. */
  checks: z.array(commandLine).max(20).optional(),
  /** Shell lines that prepare dependencies; discovered from lockfiles where there are none. */
  setup: z.array(commandLine).max(20).optional(),
  /** What the checks need running. */
  services: z.array(service).max(5).optional(),
  /** Identifiers of files that were sent before, by POST /attachments. */
  attachments: z.array(z.string().min(1).max(100)).max(mostAttachments).optional(),
  agent: z.string().min(1).max(100).optional(),
  model: z.string().min(1).max(200).optional(),
  priority: priority.optional(),
  budget: z
    .strictObject({
      usd: z.number().positive().max(100_000).optional(),
      tokens: z.number().int().positive().optional(),
    })
    .optional(),
});
export type CreateTaskBody = z.infer<typeof createTaskBody>;

export const taskView = z.object({
  id: z.string(),
  projectId: z.string(),
  repository: z.string(),
  branch: z.string().nullable(),
  /** Where checks and set-up run; null for the root. */
  folder: z.string().nullable(),
  title: z.string(),
  instructions: z.string(),
  priority: z.enum(['low', 'medium', 'high', 'critical']),
  status: taskStatus,
  waiting: waiting.nullable(),
  checks: z.array(z.string()).nullable(),
  setup: z.array(z.string()).nullable(),
  services: z.array(service).nullable(),
  createdBy: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type TaskView = z.infer<typeof taskView>;

export const createdTask = z.object({ task: taskView, run: runView });
export type CreatedTask = z.infer<typeof createdTask>;
