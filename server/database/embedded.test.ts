import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Connection } from './connection.ts';
import type { Database } from './database.ts';
import { findEmbedded, startEmbedded } from './embedded.ts';
import { locatePackage } from './embedded-binaries.ts';
import { asIdentity, chooseIdentity } from './embedded-identity.ts';
import { findFastFolder } from './fast-folder.ts';
import { openDatabase } from './postgres.ts';
import { endProcesses, isAlive, processesOf, readPidFile } from './postmaster.ts';
import { sql } from './sql.ts';

const log = pino({ level: 'silent' });
const isRoot = process.getuid?.() === 0;

/** A copy of the package without its links, as npm leaves it under `--ignore-scripts`. */
let bare: string;
beforeAll(async () => {
  bare = await mkdtemp(join(tmpdir(), 'package-'));
  await chmod(bare, 0o755);
  const withoutLinks = async (source: string) => !(await lstat(source)).isSymbolicLink();
  await cp(locatePackage(), bare, { recursive: true, filter: withoutLinks });
});
afterAll(async () => {
  await rm(bare, { recursive: true, force: true });
});

interface Home extends AsyncDisposable {
  folder: string;
  data: string;
}

/** A private folder; whatever PostgreSQL still runs in it ends with the test. */
async function makeHome(): Promise<Home> {
  const root = await realpath(await mkdtemp(join(await findFastFolder(), 'home-')));
  const folder = join(root, 'database');
  const data = join(folder, 'data');
  return {
    folder,
    data,
    async [Symbol.asyncDispose]() {
      await endProcesses(data, [{ signal: 'SIGKILL', limitMs: 10_000 }], log);
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function withDatabase<T>(connection: Connection, use: (database: Database) => Promise<T>): Promise<T> {
  const database = await openDatabase({ connection, crashPoints: { reach: () => undefined }, log });
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

/** Another process that owns the folder's database; resolves when it is up. */
async function spawnOwner(
  folder: string,
  asOrdinaryUser = false,
): Promise<ChildProcess & { connection: Connection }> {
  const child = spawnStart(folder, asOrdinaryUser);
  const { stdout } = child;
  if (!stdout) throw new Error('no output');
  for await (const line of createInterface({ input: stdout })) {
    return Object.assign(child, { connection: JSON.parse(line) });
  }
  throw new Error('the owner ended before it was up');
}

function spawnStart(folder: string, asOrdinaryUser = false): ChildProcess {
  const program = `
    import { pino } from 'pino';
    import { startEmbedded } from '${new URL('./embedded.ts', import.meta.url)}';
    const [folder, packageFolder] = process.argv.slice(1);
    const log = pino({ level: 'silent' });
    const owner = await startEmbedded({ folder, log, ...(packageFolder && { packageFolder }) });
    process.on('SIGTERM', () => owner[Symbol.asyncDispose]());
    console.log(JSON.stringify(owner.connection));`;
  const argv = [
    process.execPath,
    '--input-type=module',
    '--eval',
    program,
    folder,
    ...(asOrdinaryUser ? [bare] : []),
  ];
  const [executable = '', ...args] = asOrdinaryUser ? asIdentity('namespace', argv).argv : argv;
  return spawn(executable, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

test('starts private and fresh, has one owner, is found by guests, and keeps its data over a clean stop', async () => {
  await using home = await makeHome();
  {
    await using owner = await startEmbedded({ folder: home.folder, log });
    expect(owner.kind).toBe('owner');
    await withDatabase(owner.connection, async (database) => {
      await database.many(sql`CREATE TABLE kept (x text)`);
      await database.many(sql`INSERT INTO kept VALUES ('here')`);
      const row = await database.one(sql`
        SELECT current_setting('listen_addresses') AS tcp, current_setting('fsync') AS fsync,
          current_setting('data_checksums') AS checksums, current_setting('server_encoding') AS encoding,
          current_setting('password_encryption') AS password, lower('ÄÖ') AS lower`);
      expect(row).toEqual({
        tcp: '',
        fsync: 'on',
        checksums: 'on',
        encoding: 'UTF8',
        password: 'scram-sha-256',
        lower: 'äö',
      });
    });
    for (const name of await readdir(home.folder)) {
      expect([name, (await stat(join(home.folder, name))).mode & 0o077]).toEqual([name, 0]);
    }
    const second = startEmbedded({ folder: home.folder, log });
    await expect(second).rejects.toMatchObject({ code: 'data_in_use', detail: { pid: process.pid } });

    await using guest = await findEmbedded({ folder: home.folder });
    expect(guest).toMatchObject({ kind: 'guest', connection: owner.connection });
    const stranger = { ...owner.connection, password: 'wrong' };
    await expect(withDatabase(stranger, async () => undefined)).rejects.toThrow(/password/);
  }
  expect(processesOf(home.data)).toEqual([]);
  expect(await findEmbedded({ folder: home.folder })).toBeUndefined();
  await using again = await startEmbedded({ folder: home.folder, log });
  await withDatabase(again.connection, async (database) => {
    expect(await database.many(sql`SELECT x FROM kept`)).toEqual([{ x: 'here' }]);
  });
});

test('adopts the PostgreSQL of an owner that was killed; a living owner is named', async () => {
  await using home = await makeHome();
  const owner = await spawnOwner(home.folder);
  await withDatabase(owner.connection, async (database) => {
    await database.many(sql`CREATE TABLE kept AS SELECT 1 AS x`);
  });
  const postmaster = readPidFile(home.data)?.pid;
  const refused = startEmbedded({ folder: home.folder, log });
  await expect(refused).rejects.toMatchObject({ code: 'data_in_use', detail: { pid: owner.pid } });

  await kill(owner, 'SIGKILL');
  expect(await findEmbedded({ folder: home.folder })).toBeUndefined();
  {
    const restarted = Promise.withResolvers<void>();
    await using heir = await startEmbedded({ folder: home.folder, log, onRestart: restarted.resolve });
    expect(readPidFile(home.data)?.pid).toBe(postmaster);
    await withDatabase(heir.connection, async (database) => {
      expect(await database.many(sql`SELECT x FROM kept`)).toEqual([{ x: 1 }]);
    });
    // One that is adopted is watched as well as one that is ours.
    process.kill(postmaster ?? 0, 'SIGKILL');
    await restarted.promise;
    await withDatabase(heir.connection, (database) => database.many(sql`SELECT x FROM kept`));
  }
  expect(processesOf(home.data)).toEqual([]);
});

test('replaces a PostgreSQL left running with other settings', async () => {
  await using home = await makeHome();
  const owner = await spawnOwner(home.folder);
  const postmaster = readPidFile(home.data)?.pid ?? 0;
  await kill(owner, 'SIGKILL');
  await using heir = await startEmbedded({ folder: home.folder, log, settings: { work_mem: '5MB' } });
  expect(readPidFile(home.data)?.pid).not.toBe(postmaster);
  await withDatabase(heir.connection, async (database) => {
    expect(await database.one(sql`SELECT current_setting('work_mem') AS x`)).toEqual({ x: '5MB' });
  });
});

test('a PostgreSQL that dies is started again, also when that fails at first, and pools go on', async () => {
  await using home = await makeHome();
  const failed = Promise.withResolvers<void>();
  let restarted = Promise.withResolvers<void>();
  const lines = pino(
    { level: 'error' },
    { write: (line) => /could not be started/.test(line) && failed.resolve() },
  );
  const postgres = join(bare, 'native', 'bin', 'postgres');
  await using owner = await startEmbedded({
    folder: home.folder,
    log: lines,
    packageFolder: bare,
    onRestart: () => restarted.resolve(),
  });
  await withDatabase(owner.connection, async (database) => {
    await database.many(sql`CREATE TABLE kept AS SELECT 1 AS x`);
    const again = Promise.withResolvers<void>();
    await using _listening = await database.listen('any', (payload) => payload === '' && again.resolve());
    process.kill(readPidFile(home.data)?.pid ?? 0, 'SIGKILL');
    await restarted.promise;
    await again.promise;
    await expect.poll(() => database.many(sql`SELECT x FROM kept`)).toEqual([{ x: 1 }]);

    restarted = Promise.withResolvers();
    await rename(postgres, `${postgres}.away`);
    process.kill(readPidFile(home.data)?.pid ?? 0, 'SIGKILL');
    await failed.promise;
    await expect(database.many(sql`SELECT x FROM kept`)).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    await rename(`${postgres}.away`, postgres);
    await restarted.promise;
    await expect.poll(() => database.many(sql`SELECT x FROM kept`)).toEqual([{ x: 1 }]);
  });
});

test('is not misled by a stale pid file, of a dead process or of one that has its id now', async () => {
  await using home = await makeHome();
  const first = await startEmbedded({ folder: home.folder, log });
  const pidFile = join(home.data, 'postmaster.pid');
  const [pid, ...rest] = (await readFile(pidFile, 'utf8')).split('\n');
  await first[Symbol.asyncDispose]();
  expect(isAlive(Number(pid))).toBe(false);
  for (const stale of [pid, process.pid]) {
    await writeFile(pidFile, [stale, ...rest].join('\n'), { mode: 0o600 });
    const owner = await startEmbedded({ folder: home.folder, log });
    await withDatabase(owner.connection, (database) => database.many(sql`SELECT 1`));
    await owner[Symbol.asyncDispose]();
  }
});

test('a first start that is killed leaves nothing half done', async () => {
  await using home = await makeHome();
  const child = spawnStart(home.folder);
  const unfinished = async () =>
    (await readdir(home.folder).catch(() => [])).some((name) => /^unfinished/.test(name));
  await expect.poll(unfinished, { interval: 5, timeout: 30_000 }).toBe(true);
  await kill(child, 'SIGKILL');
  expect(await readdir(home.folder)).not.toContain('data');
  await using owner = await startEmbedded({ folder: home.folder, log });
  await withDatabase(owner.connection, (database) => database.many(sql`SELECT 1`));
  expect(await unfinished()).toBe(false);
});

test('sets the password anew where its file is lost', async () => {
  await using home = await makeHome();
  const owner = await spawnOwner(home.folder);
  await kill(owner, 'SIGKILL');
  await rm(join(home.folder, 'connection.json'));
  await using heir = await startEmbedded({ folder: home.folder, log });
  expect(heir.connection.password).not.toBe(owner.connection.password);
  await withDatabase(heir.connection, (database) => database.many(sql`SELECT 1`));
});

test('a long path gets a short, private folder for the socket, and the same one after a crash', async () => {
  await using home = await makeHome();
  const folder = join(home.folder, 'x'.repeat(100));
  await mkdir(folder, { recursive: true });
  const child = await spawnOwner(folder);
  await kill(child, 'SIGKILL');
  const owner = await startEmbedded({ folder, log });
  const { host } = owner.connection;
  expect(host).toBe(child.connection.host);
  expect(host.length).toBeLessThan(86);
  expect((await stat(host)).mode & 0o777).toBe(0o700);
  await withDatabase(owner.connection, (database) => database.many(sql`SELECT 1`));
  await owner[Symbol.asyncDispose]();
  await expect(stat(host)).rejects.toThrow(/ENOENT/);
});

test('an ordinary user can start it, with the links outside a package that cannot be written', async () => {
  if (isRoot && (await chooseIdentity()) !== 'namespace') return;
  await using home = await makeHome();
  const libraries = join(bare, 'native', 'lib');
  const links = async () => {
    const entries = await readdir(libraries, { withFileTypes: true });
    return entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => join(libraries, name));
  };
  await Promise.all((await links()).map((link) => rm(link)));
  await chmod(libraries, 0o555);
  try {
    const owner = await spawnOwner(home.folder, isRoot);
    await withDatabase(owner.connection, (database) => database.many(sql`SELECT 1`));
    await kill(owner, 'SIGTERM');
    expect(await readdir(join(home.folder, 'libraries'))).toContain('libicuuc.so.60');
    expect(await links()).toEqual([]);
  } finally {
    await chmod(libraries, 0o755);
  }
});

test.skipIf(!isRoot)(
  'without user namespaces it runs as nobody, or says which folder is in the way',
  async () => {
    await using home = await makeHome();
    const options = { folder: home.folder, log, packageFolder: bare, identity: 'nobody' } as const;
    await expect(startEmbedded(options)).rejects.toThrow(/cannot enter .*home-/);
    await chmod(join(home.folder, '..'), 0o711);
    {
      await using owner = await startEmbedded(options);
      expect((await stat(home.data)).uid).toBe(65_534);
      await withDatabase(owner.connection, (database) => database.many(sql`CREATE TABLE kept (x integer)`));
    }
    // The same data, once user namespaces are there.
    await using owner = await startEmbedded({ ...options, identity: await chooseIdentity() });
    await withDatabase(owner.connection, (database) => database.many(sql`SELECT * FROM kept`));
  },
);

test.skipIf(!isRoot)('refuses a folder of another user, and leaves it as it is', async () => {
  await using home = await makeHome();
  await mkdir(home.folder);
  await chown(home.folder, 12_345, 12_345);
  await expect(startEmbedded({ folder: home.folder, log })).rejects.toThrow(
    /belongs to the user with id 12345/,
  );
  expect(await readdir(home.folder)).toEqual([]);
});

test('says what to do about data of another version, a missing library and a folder that is a file', async () => {
  await using home = await makeHome();
  await mkdir(home.data, { recursive: true });
  await writeFile(join(home.data, 'PG_VERSION'), '17\n');
  const other = startEmbedded({ folder: home.folder, log });
  await expect(other).rejects.toMatchObject({ code: 'newer_database' });
  await rm(home.data, { recursive: true });

  const library = join(bare, 'native', 'lib', 'libssl.so.1.1');
  await rename(library, `${library}.away`);
  const broken = startEmbedded({ folder: home.folder, log, packageFolder: bare });
  await expect(broken).rejects.toThrow(/a library is missing; run npm ci/);
  await rename(`${library}.away`, library);

  const file = startEmbedded({ folder: join(home.data, '..', 'connection.json'), log });
  await expect(file).rejects.toMatchObject({ code: 'database_unavailable' });
});
