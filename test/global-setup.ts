import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { type EmbeddedPostgres, startEmbedded } from '../server/database/embedded.ts';
import { findFastFolder } from '../server/database/fast-folder.ts';
import { isAlive } from '../server/database/postmaster.ts';
import { testServerVariable } from '../server/database/test-database.ts';

let server: EmbeddedPostgres | undefined;
let folder: string | undefined;

/** One PostgreSQL for the whole test run, in a folder of its own; both are gone after `teardown`. */
export async function setup(): Promise<void> {
  const parent = await findFastFolder();
  await removeLeftovers(parent);
  folder = await mkdtemp(join(parent, `${prefix}${process.pid}-`));
  server = await startEmbedded({
    folder,
    log: pino({ level: 'warn' }, pino.destination({ dest: 2, sync: true })),
    endsWithUs: true,
    // Nothing of a test run is worth keeping through a power cut.
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' },
  });
  process.env[testServerVariable] = JSON.stringify(server.connection);
}

export async function teardown(): Promise<void> {
  await server?.[Symbol.asyncDispose]();
  if (folder) await rm(folder, { recursive: true, force: true });
}

const prefix = 'mission-test-';

/** A test run that was killed could not remove its folder; its PostgreSQL ended with it. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN;
    if (pid > 0 && !isAlive(pid)) await rm(join(parent, name), { recursive: true, force: true });
  }
}
