import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { locatePackage, prepareBinaries } from '../../database/embedded-binaries.ts';
import type { Sandbox } from '../sandbox.ts';
import { openCleanRoom } from './clean-room.ts';
import { type Git, openGit } from './git.ts';
import { openRepositories, type RepositoryHandle } from './repositories.ts';
import { openServices, requireServices, type Services } from './services.ts';
import { makeRepository, never, openTestSandbox, scratchFolder } from './test-repository.ts';
import { openWorkspaces } from './workspace.ts';

const folder = scratchFolder();
const home = join(folder.path, 'home');
let sandbox: Sandbox;
let ours: Git;
let repository: RepositoryHandle;
let commit: string;
let bundledPostgres: string;

/** Speaks PostgreSQL's protocol with nothing but Node: whether a query is answered. */
const ask = `
const { connect } = require('node:net');
const url = new URL(process.env.DATABASE_URL);
const socket = connect(Number(url.port), url.hostname);
const pack = (kind, text) => { const body = Buffer.from(text + '\\0'); const head = Buffer.alloc(4); head.writeInt32BE(body.length + 4); return Buffer.concat([Buffer.from(kind), head, body]); };
socket.on('connect', () => {
  const body = Buffer.from('\\0\\x03\\0\\0user\\0' + url.username + '\\0database\\0' + url.pathname.slice(1) + '\\0\\0', 'latin1');
  const head = Buffer.alloc(4); head.writeInt32BE(body.length + 4); socket.write(Buffer.concat([head, body]));
  socket.write(pack('Q', 'CREATE TABLE t (a int); INSERT INTO t VALUES (41); SELECT a + 1 AS sum FROM t'));
});
let all = '';
socket.on('data', (data) => { all += data.toString('latin1'); if (/SELECT 1/.test(all)) { console.log(all.includes('42') ? 'answered 42' : all); process.exit(); } });
socket.on('error', (error) => { console.log(error.code); process.exit(1); });
`;

beforeAll(async () => {
  sandbox = await openTestSandbox(folder.path);
  ours = await openGit(home, sandbox);
  makeRepository(join(folder.path, 'source'), { 'ask.cjs': ask });
  ({ repository, commit } = await openRepositories(home, ours).fetch(
    { location: join(folder.path, 'source') },
    never,
  ));
  await prepareBinaries(locatePackage(), join(folder.path, 'links'));
  bundledPostgres = join(locatePackage(), 'native');
});
afterAll(() => folder.remove());

const roomWith = (services: Services) => openCleanRoom({ home, sandbox, git: ours, services });

describe('a service', () => {
  test('is there for one check, fresh each time, and in a workspace by its script', async () => {
    const services = await openServices(home, { bundledPostgres, systemPostgres: '/nonexistent' });
    const room = await roomWith(services);
    const command = 'echo "$PGHOST $PGPORT $PGUSER $PGDATABASE"; node ask.cjs';
    const request = { repository, commit, command, services: ['postgresql'] as const };
    const answer = { outcome: 'passed', excerpt: '127.0.0.1 5432 agent test\nanswered 42\n' };
    expect(await room.runCheck(request, never)).toMatchObject(answer);
    expect(await room.runCheck(request, never)).toMatchObject(answer);
    expect(await room.runCheck({ ...request, command: 'exit 3' }, never)).toMatchObject({ exitCode: 3 });
    const without = { repository, commit, command: 'node ask.cjs' };
    expect(await room.runCheck(without, never)).toMatchObject({ outcome: 'failed' });
    const workspace = await openWorkspaces({ home, sandbox, git: ours, services }).create(
      'run',
      '1',
      {
        repository,
        commit,
        branch: 'mission/x',
        identity: { name: 'A', email: 'a@x' },
        services: ['postgresql'],
      },
      never,
    );
    const ran = await workspace.run({ argv: ['/mission/with-services', 'node', 'ask.cjs'] }, never);
    expect(ran.stdout.toString('utf8')).toBe('answered 42\n');
  });

  test('that does not start fails the check with its own words', async () => {
    const services = await openServices(home, { bundledPostgres, systemPostgres: '/nonexistent' });
    services.programs.postgresql = { mounts: [], bin: '/nonexistent' };
    const checked = await (await roomWith(services)).runCheck(
      { repository, commit, command: 'echo never', services: ['postgresql'] },
      never,
    );
    expect(checked).toMatchObject({ outcome: 'failed', exitCode: 125 });
    expect(checked.excerpt).toMatch(/the service postgresql did not start:\n.*not found/s);
  });

  test('that the machine does not have is refused with what to do', async () => {
    const services = await openServices(home, { bundledPostgres: null, systemPostgres: '/nonexistent' });
    expect(() => requireServices(services, ['postgresql'])).toThrow(
      /the checks need postgresql, which this machine does not have: run apt-get install postgresql/,
    );
  });
});
