import { z } from 'zod';

const days = z.number().min(0).max(3_650);
const gigabytes = z.number().positive().max(1_000_000);

/** `disk` in mission.config.json: how long and how much is kept. What a live run needs stays in any case. */
export const diskSettings = z
  .strictObject({
    /** Days that the workspace of an ended run is kept; once its change is merged or closed it goes at once. */
    workspaceDays: days.default(3),
    /** Days without use after which prepared dependencies go. */
    setupDays: days.default(30),
    /** GiB of prepared dependencies; the longest unused go first. */
    setupGigabytes: gigabytes.default(20),
    /** GiB of workspaces; those of the runs that ended first go first. */
    workspaceGigabytes: gigabytes.default(50),
    /** Days that the logs and other artifacts of an ended task are kept. */
    artifactDays: days.default(90),
    /** GiB that must be free for a run to go on. */
    minimumFreeGigabytes: z.number().min(0).max(100_000).default(0.5),
  })
  .prefault({});
export type DiskSettings = z.infer<typeof diskSettings>;
