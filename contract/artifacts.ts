import { z } from 'zod';

/** A plain file name. */
const artifactName = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}/\\]+$/u, 'a file name without slashes, such as report.html');

const mediaType = z
  .string()
  .max(200)
  .regex(/^[\w.+-]+\/[\w.+-]+(\s*;\s*[\w.+-]+=[\w.+"-]+)*$/, 'a media type, such as text/plain');

/** What an artifact is; its content is the body of the request. It belongs to a run, or to a task. */
export const artifactQuery = z
  .object({
    name: artifactName,
    mediaType: mediaType.default('application/octet-stream'),
    run: z.string().min(1).max(100).optional(),
    task: z.string().min(1).max(100).optional(),
  })
  .refine((query) => query.run === undefined || query.task === undefined, {
    message: 'belongs to a run or to a task: leave one of them out',
    path: ['task'],
  });

export const artifactView = z.object({
  id: z.string(),
  name: z.string(),
  mediaType: z.string(),
  /** Bytes. */
  size: z.number(),
  /** SHA-256 of the content, in hex. */
  hash: z.string(),
  runId: z.string().nullable(),
  taskId: z.string().nullable(),
  createdBy: z.string().nullable(),
  createdAt: z.iso.datetime(),
});
export type ArtifactView = z.infer<typeof artifactView>;
