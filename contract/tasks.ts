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

/** A time with its zone, in the years from 1970 to 2999; kept in UTC. */
export const instant = z.iso
  .datetime({ offset: true })
  .refine((value) => {
    const at = Date.parse(value);
    return at >= 0 && at < Date.UTC(3000, 0);
  }, 'a time from 1970 to 2999, such as 2031-01-01T08:00:00Z')
  .transform((value) => new Date(value).toISOString());

export const nameOrId = z.string().trim().min(1).max(200);
export const skills = z.array(z.string().trim().min(1).max(60)).max(50);
/** What somebody keeps with a thing for themselves; it changes nothing here. */
export const metadata = z.record(z.string().max(200), z.unknown());

export const createTaskBody = z.strictObject({
  /** What is wanted, in words; the agent reads it as its task. */
  instructions: z.string().trim().min(1).max(100_000),
  title: z.string().trim().min(1).max(200).optional(),
  /**
   * An absolute path on the server's machine, a file:, http:, https: or ssh: URL, or git@host:path; its project is
   * found or made. Give this or `project`.
   */
  repository: z.string().trim().min(1).max(4_096).optional(),
  /** The identifier or the name of a project. */
  project: nameOrId.optional(),
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
  /** The same as `assignee`. */
  agent: nameOrId.optional(),
  /**
   * Who does it, by identifier or name; null for whichever agent claims it. Where it is not given, a task with a
   * repository goes to our own developer, and one without is for whoever claims it.
   */
  assignee: nameOrId.nullable().optional(),
  parent: z.string().max(100).optional(),
  /** Tasks that must be completed before this one begins. */
  dependsOn: z.array(z.string().max(100)).max(200).optional(),
  deadline: instant.optional(),
  /** What an agent that claims it must be able to do. */
  requiredSkills: skills.optional(),
  metadata: metadata.optional(),
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
  /** The project's name. */
  project: z.string(),
  /** Null where the project is a body of work without one. */
  repository: z.string().nullable(),
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
  parentId: z.string().nullable(),
  /** Null: whoever claims it. */
  assignee: z.object({ id: z.string(), name: z.string() }).nullable(),
  dependsOn: z.array(z.string()),
  deadline: z.string().nullable(),
  requiredSkills: z.array(z.string()),
  metadata,
  /** What the agent that completed it says of it. */
  result: z.record(z.string(), z.unknown()).nullable(),
  /** True where its agent says that it is done, and no check proves it. */
  attested: z.boolean(),
  version: z.number(),
  createdBy: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type TaskView = z.infer<typeof taskView>;

export const createdTask = z.object({ task: taskView, run: runView });
export type CreatedTask = z.infer<typeof createdTask>;

/** A task that was taken in; `run` is null where it waits for an agent that claims it, or for other tasks. */
export const takenTask = createdTask.extend({ run: runView.nullable() });
export type TakenTask = z.infer<typeof takenTask>;

export const updateTaskBody = z.strictObject({
  title: z.string().trim().min(1).max(200).optional(),
  /** Only while nobody has begun it. */
  instructions: z.string().trim().min(1).max(100_000).optional(),
  priority: priority.optional(),
  assignee: nameOrId.nullable().optional(),
  deadline: instant.nullable().optional(),
  /** In the place of those that it has. */
  dependsOn: z.array(z.string().max(100)).max(200).optional(),
  requiredSkills: skills.optional(),
  metadata: metadata.optional(),
});
export type UpdateTaskBody = z.infer<typeof updateTaskBody>;

export const cancelTaskBody = z.strictObject({ reason: z.string().trim().max(2_000).default('') });
export const addDependencyBody = z.strictObject({ dependsOn: z.string().min(1).max(100) });

export const mostInBatch = 500;
export const batchBody = z.strictObject({
  /** True: all of it, or nothing where one item is refused. */
  atomic: z.boolean().default(false),
  items: z
    .array(
      z.discriminatedUnion('op', [
        z.strictObject({ op: z.literal('create'), task: createTaskBody }),
        z.strictObject({
          op: z.literal('update'),
          id: z.string().max(100),
          task: updateTaskBody,
          /** The version that the sender has seen. */
          version: z.number().int().optional(),
        }),
        z.strictObject({
          op: z.literal('cancel'),
          id: z.string().max(100),
          reason: z.string().trim().max(2_000).default(''),
        }),
      ]),
    )
    .min(1)
    .max(mostInBatch),
});
export type BatchBody = z.infer<typeof batchBody>;

/** One for each item, in their order. */
export const batchResult = z.object({
  items: z.array(
    z.object({
      status: z.number(),
      task: taskView.nullable(),
      problem: z.object({ code: z.string(), detail: z.string() }).nullable(),
    }),
  ),
});
export type BatchResult = z.infer<typeof batchResult>;
