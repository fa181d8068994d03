import { statfs } from 'node:fs/promises';
import type { Finding } from '../contract/system.ts';
import { probeSandbox } from './computers/probe-sandbox.ts';
import type { Database } from './database/database.ts';
import { sql } from './database/sql.ts';
import { messageOf } from './errors.ts';

const wantedDiskBytes = 2 * 1024 ** 3;

/** What is missing on this machine, each with the one line that mends it. */
export async function diagnose(parts: {
  config: { home: string; anthropic: object | null };
  database: Database;
  sandbox: { kind: 'bubblewrap' | 'unsafe' };
}): Promise<Finding[]> {
  return [
    await diagnoseDatabase(parts.database),
    await diagnoseWorkers(parts.database),
    await diagnoseSandbox(parts.sandbox.kind),
    await diagnoseDisk(parts.config.home),
    parts.config.anthropic === null
      ? {
          name: 'models',
          state: 'warning',
          detail: 'no provider is connected; only recordings can be run',
          mend: 'export ANTHROPIC_API_KEY=… and restart',
        }
      : { name: 'models', state: 'ok', detail: 'Anthropic is connected', mend: null },
  ];
}

async function diagnoseDatabase(database: Database): Promise<Finding> {
  try {
    const row = await database.one<{ version: string }>(
      sql`SELECT current_setting('server_version') AS version`,
    );
    return { name: 'database', state: 'ok', detail: `PostgreSQL ${row.version} answers`, mend: null };
  } catch (error) {
    return { name: 'database', state: 'failed', detail: messageOf(error), mend: 'mission up' };
  }
}

async function diagnoseWorkers(database: Database): Promise<Finding> {
  const row = await database.one<{ workers: number }>(sql`SELECT count(*)::integer AS workers FROM workers`);
  return row.workers > 0
    ? { name: 'workers', state: 'ok', detail: `${row.workers} at work`, mend: null }
    : {
        name: 'workers',
        state: 'failed',
        detail: 'no worker is up: runs wait in the queue',
        mend: 'mission up --roles worker',
      };
}

async function diagnoseSandbox(kind: 'bubblewrap' | 'unsafe'): Promise<Finding> {
  if (kind === 'unsafe') {
    return {
      name: 'sandbox',
      state: 'failed',
      detail: 'commands run WITHOUT a sandbox (--unsafe-no-sandbox)',
      mend: 'restart without --unsafe-no-sandbox',
    };
  }
  const report = await probeSandbox();
  if (!report.available) {
    return {
      name: 'sandbox',
      state: 'failed',
      detail: report.problem ?? 'not available',
      mend: report.mend ?? null,
    };
  }
  const limits =
    report.cgroups === 'none' ? 'limits for each process only' : `limits by cgroups ${report.cgroups}`;
  return {
    name: 'sandbox',
    state: report.cgroups === 'none' || !report.seccomp ? 'warning' : 'ok',
    detail: `${report.bubblewrap?.version ?? 'bubblewrap'}, ${limits}, seccomp ${report.seccomp ? 'on' : 'not for this processor'}`,
    mend: null,
  };
}

async function diagnoseDisk(home: string): Promise<Finding> {
  const disk = await statfs(home);
  const free = disk.bavail * disk.bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free at ${home}`;
  return free > wantedDiskBytes
    ? { name: 'disk', state: 'ok', detail, mend: null }
    : {
        name: 'disk',
        state: 'warning',
        detail,
        mend: `free some space, or set MISSION_HOME to a larger disk`,
      };
}
