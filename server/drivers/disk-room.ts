import type { Clock } from '../clock.ts';
import type { DriveResult, Driver } from '../runs/worker.ts';
import { freeBytes } from './disk-usage.ts';

export interface RoomOptions {
  home: string;
  minimumFreeBytes: number;
  clock: Clock;
  /** Called when a run begins to wait: what is no longer needed goes, and people are told. */
  onFull: () => Promise<void>;
}

const lookAgainMs = 15_000;
const deadlineMs = 3_600_000;

/**
 * Lets a run go on only while there is room on the disk, and has it wait by name where there is none: it looks
 * again by itself. What it was doing is in its journal and is done again. Stops and pauses are heeded as ever.
 */
export function withRoom(options: RoomOptions, driver: Driver): Driver {
  return async (context) => {
    const { home, minimumFreeBytes } = options;
    if (context.control() === 'go' && (await freeBytes(home)) < minimumFreeBytes) return waitForRoom(options);
    try {
      return await driver(context);
    } catch (error) {
      if (context.signal.aborted || !isDiskFull(error)) throw error;
      return waitForRoom(options);
    }
  };
}

/** Whether a write failed for want of room, wherever it was noticed: here, in PostgreSQL, or by git. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && (at.code === 'ENOSPC' || at.code === 'EDQUOT' || at.code === '53100')) return true;
    if (/No space left on device|Disk quota exceeded/i.test(at.message)) return true;
  }
  return false;
}

async function waitForRoom({ home, clock, onFull, minimumFreeBytes }: RoomOptions): Promise<DriveResult> {
  await onFull();
  const now = clock.now();
  const wanted = `${(minimumFreeBytes / 1024 ** 3).toFixed(1)} GiB`;
  return {
    kind: 'park',
    status: 'waiting',
    wakeAt: now + lookAgainMs,
    waiting: {
      on: 'blocker',
      ref: null,
      reason: `the disk at ${home} is full: free some space (${wanted} at least); the run then goes on by itself`,
      owner: 'operators',
      deadline: new Date(now + deadlineMs).toISOString(),
      atDeadline: 'retry',
    },
  };
}
