import { access, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Service } from '../../../contract/tasks.ts';
import { AppError } from '../../errors.ts';
import type { Mount } from '../sandbox.ts';

export type ServiceName = Service;

/** A service's programs as they are inside the sandbox. */
export interface ServiceProgram {
  mounts: Mount[];
  /** The folder of the programs, inside. */
  bin: string;
}

/** What checks may need and this machine has. */
export interface Services {
  programs: Partial<Record<ServiceName, ServiceProgram>>;
  /** The host's path of the script that starts them. */
  script: string;
}

/** Inside; takes a command and its arguments, and runs it among the services that MISSION_SERVICES names. */
export const withServices = '/mission/with-services';

/** How a service that is missing is had. */
const mend: Record<ServiceName, string> = {
  postgresql: 'apt-get install postgresql, or npm install in the folder of Mission Control for its own',
  redis: 'apt-get install redis-server',
};

/**
 * Looks for the services' programs: the machine's own first.
 * @param home MISSION_HOME, where the script goes
 * @param options.bundledPostgres the folder with `bin`, `lib` and `share` that comes with the product
 */
export async function openServices(
  home: string,
  options: { bundledPostgres: string | null; systemPostgres?: string },
): Promise<Services> {
  const script = join(home, 'with-services');
  await writeFile(`${script}.${process.pid}`, startScript, { mode: 0o755 });
  await rename(`${script}.${process.pid}`, script);
  const postgresql =
    (await findSystemPostgres(options.systemPostgres ?? '/usr/lib/postgresql')) ??
    (await findBundledPostgres(options.bundledPostgres));
  const redis = (await exists('/usr/bin/redis-server')) ? { mounts: [], bin: '/usr/bin' } : null;
  return {
    script,
    programs: { ...(postgresql === null ? {} : { postgresql }), ...(redis === null ? {} : { redis }) },
  };
}

/** @throws AppError `unprocessable` with the line that mends it */
export function requireServices(services: Services, names: readonly ServiceName[]): void {
  const missing = names.find((name) => services.programs[name] === undefined);
  if (missing === undefined) return;
  throw new AppError(
    'unprocessable',
    `the checks need ${missing}, which this machine does not have: run ${mend[missing]}, and start Mission Control again`,
  );
}

/**
 * What a command needs to run among services, each started before it and ended with it, in the same sandbox and
 * reachable there alone.
 * @throws AppError `unprocessable` for a service that this machine does not have
 */
export function placeServices(
  services: Services,
  names: readonly ServiceName[],
): { mounts: Mount[]; env: Record<string, string> } {
  if (names.length === 0) return { mounts: [], env: {} };
  requireServices(services, names);
  const mounts: Mount[] = [{ source: services.script, target: withServices, mode: 'read' }];
  const env: Record<string, string> = { MISSION_SERVICES: names.join(' ') };
  for (const name of names) {
    const program = services.programs[name];
    if (program === undefined) continue;
    mounts.push(...program.mounts);
    env[`MISSION_${name.toUpperCase()}_BIN`] = program.bin;
  }
  return { mounts, env };
}

async function findSystemPostgres(root: string): Promise<ServiceProgram | null> {
  const versions = (await namesIn(root))
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(b) - Number(a));
  for (const version of versions) {
    const bin = join(root, version, 'bin');
    // Only below /usr is what every command sees anyway.
    if (
      bin.startsWith('/usr/') &&
      (await exists(join(bin, 'initdb'))) &&
      (await exists(join(bin, 'postgres')))
    )
      return { mounts: [], bin };
  }
  return null;
}

async function findBundledPostgres(folder: string | null): Promise<ServiceProgram | null> {
  if (folder === null || !(await exists(join(folder, 'bin/initdb')))) return null;
  const target = '/mission/postgresql';
  return { mounts: [{ source: folder, target, mode: 'read' }], bin: `${target}/bin` };
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

/** Nothing is synced to disk: a service lives as long as its command. */
const startScript = `#!/bin/sh
# Starts the services that MISSION_SERVICES names, and then runs the command that is given.
set -eu
logs=/tmp/.services
mkdir -p "$logs"

fail() {
  echo "the service $1 did not start:" >&2
  tail -n 20 "$logs/$1.log" >&2
  exit 125
}

# Waits until the log of a service holds a line, for at most a minute.
await() {
  tries=0
  until grep -q "$2" "$logs/$1.log"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 1200 ] || ! kill -0 "$3" 2> /dev/null; then fail "$1"; fi
    sleep 0.05
  done
}

for service in \${MISSION_SERVICES:-}; do
  case "$service" in
    postgresql)
      bin=$MISSION_POSTGRESQL_BIN
      data=$logs/postgresql
      "$bin/initdb" -D "$data" -U agent -A trust -E UTF8 --locale=C --no-sync > "$logs/postgresql.log" 2>&1 || fail postgresql
      echo 'CREATE DATABASE test;' | "$bin/postgres" --single -F -D "$data" postgres >> "$logs/postgresql.log" 2>&1 || fail postgresql
      : > "$logs/postgresql.log"
      "$bin/postgres" -D "$data" -F -k /tmp -h 127.0.0.1 -p 5432 -c shared_buffers=32MB -c full_page_writes=off >> "$logs/postgresql.log" 2>&1 &
      await postgresql 'database system is ready to accept connections' "$!"
      export PGHOST=127.0.0.1 PGPORT=5432 PGUSER=agent PGDATABASE=test
      export DATABASE_URL=postgresql://agent@127.0.0.1:5432/test
      ;;
    redis)
      "$MISSION_REDIS_BIN/redis-server" --save '' --appendonly no --bind 127.0.0.1 --port 6379 --dir /tmp > "$logs/redis.log" 2>&1 &
      await redis 'Ready to accept connections' "$!"
      export REDIS_URL=redis://127.0.0.1:6379
      ;;
  esac
done
exec "$@"
`;
