import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { Coverage, type KnownSecret, SecretIndex } from '../../server/computers/egress/secret-index.ts';
import { SecretScan } from '../../server/computers/egress/secret-scan.ts';
import type { Database } from '../../server/database/database.ts';
import { raw, sql } from '../../server/database/sql.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';
import { openResponder } from '../../server/models/recorded-model.ts';
import { parseRecording } from '../../server/models/recording.ts';
import { startAnthropicServer } from '../anthropic-server.ts';
import { curl, openWorld, type World } from '../attacks/world.ts';
import { finish, type Turn, toWork } from '../e2e/house.ts';
import { startReceiver } from '../receiver.ts';
import { makeHome } from '../start-app.ts';
import { wireKey } from '../wire-server.ts';

/** Each is where a secret of its kind may be, and must be found nowhere else. */
const canaries = {
  'a brokered credential': 'canary-Broker-f3Qz91-xLw8',
  'the one before its rotation': 'canary-Older-k7Rt52-mVb4',
  'a credential for git': 'canary-Git-p2Yd68-hJn3',
  'the key of a provider': wireKey,
  'the token of a bot': '7712345678:AAcanaryBot-w5Xs83cFe7gTr1yUi9oPl0kJh',
  'the secret of a webhook': 'canary-Hook-u6Gb74-zQa2',
  'the token of a forge': 'canary-Forge-e8Mn29-rDs5',
};

test('no secret is in the database, the log, events, artifacts, workspaces, prompts or a backup', {
  timeout: 240_000,
}, async () => {
  await using world = await openWorld(({ url, headers }, response) => {
    response.statusCode = url.includes('fail') ? 500 : 200;
    response.end(`${url} ${headers.authorization ?? 'without'}`);
  });
  await using receiver = await startReceiver();
  receiver.answer(500);
  await using database = await createTestDatabase();
  await using home = await makeHome({
    notifications: {
      bot: {
        kind: 'webhook',
        url: `${receiver.url}/bot${canaries['the token of a bot']}/send`,
        secret: canaries['the secret of a webhook'],
      },
    },
  });
  const at = `https://localhost:${world.securePort}`;
  const model = openResponder(() => recording(turnsAt(at, world.port)));
  await using provider = await startAnthropicServer(model);
  const env = {
    DATABASE_URL: database.connectionString,
    GITHUB_TOKEN: canaries['the token of a forge'],
    npm_config_cafile: world.authorityFile,
  };
  await using server = await home.start({ env });
  const { url, key } = await home.api.connection();
  const call = async (method: string, path: string, body: unknown) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const response = await fetch(`${url}/api/v1${path}`, { method, headers, body: JSON.stringify(body) });
    return { status: response.status, text: await response.text() };
  };
  const said = await giveCredentials(home.path, world);
  expect(said[0]).toContain('numbers');
  expect(said[2]).toContain('developer (write until');
  expect(said[4]).toContain('There is a credential numbers already');
  const wrong = { kind: 'anthropic', baseUrl: provider.baseURL, apiKey: wireKey };
  for (const [path, body] of [
    ['/providers/mine', wrong],
    ['/models/mine%2Fm/price', { input: 1, output: 1 }],
  ] as const)
    expect(await call('PUT', path, body)).toMatchObject({ status: 200 });
  expect(await call('PUT', '/providers/other', { ...wrong, baseUrl: `${receiver.url}/v1` })).toMatchObject({
    status: 200,
  });
  const answers = [
    await call('POST', '/notifications/bot/test', {}),
    await call('POST', '/models/test', { model: 'other/m' }),
    await call('PUT', '/credentials/numbers/value', { value: `${canaries['a brokered credential']}\n` }),
  ];
  const { run } = await home.api.createTask({
    instructions: 'Ask the server at https://localhost/ and http://localhost/ for its answers.',
    repository: home.repository,
    checks: ['true'],
    model: 'mine/m',
  });
  expect((await home.api.awaitEnd(run.id)).status).toBe('succeeded');
  const used = world.visits.filter(({ headers }) =>
    headers.authorization?.includes(canaries['a brokered credential']),
  );
  expect(used.map(({ url: path }) => path)).toEqual(expect.arrayContaining(['/me', '/fail', '/node']));
  await cli(home.path, ['backup', join(home.path, '..', 'all.backup')], '');
  const backup = gunzipSync(await readFile(join(home.path, '..', 'all.backup'))).toString();
  await server.stop();

  const places: Record<string, string> = {
    'the database': await readDatabase(database.database),
    'the log': server.log(),
    'the prompts': JSON.stringify(provider.requests),
    'the answers of API and command line': JSON.stringify([answers, said]),
    'the backup': backup,
    ...(await readFiles(home.path)),
  };
  expect(Object.keys(places).length).toBeGreaterThan(20);
  expect(places['the database']).toContain('egress.allowed');
  expect(places['the log']?.length).toBeGreaterThan(100);
  const found = Object.entries(places).flatMap(([place, content]) =>
    findCanaries(content).map((name) => `${name} in ${place}`),
  );
  // Where a person wrote it themselves.
  const own = (name: string) => `${name} in mission.config.json`;
  expect(found.sort()).toEqual([own('the secret of a webhook'), own('the token of a bot')]);
});

async function giveCredentials(home: string, world: World): Promise<string[]> {
  return [
    await cli(
      home,
      ['credential', 'add', 'numbers', '--host', 'localhost', '--port', `${world.securePort}`],
      canaries['the one before its rotation'],
    ),
    await cli(home, ['credential', 'rotate', 'numbers'], canaries['a brokered credential']),
    await cli(home, ['credential', 'grant', 'numbers', '--agent', 'developer', '--expires', '7d'], ''),
    await cli(
      home,
      ['credential', 'add', 'repository', '--host', 'git.example', '--git', 'x-access-token'],
      canaries['a credential for git'],
    ),
    await cli(
      home,
      ['credential', 'add', 'numbers', '--host', 'localhost'],
      canaries['a brokered credential'],
    ),
    await cli(home, ['credential', 'list', '--json'], ''),
    await cli(
      home,
      [
        'egress',
        'allow',
        'localhost',
        '--agent',
        'developer',
        '--private',
        '--port',
        `${world.securePort}`,
        '--port',
        `${world.port}`,
      ],
      '',
    ),
  ];
}

/** Commands that use the credential, and that fail, as loudly as they can. */
const turnsAt = (at: string, plainPort: number): Turn[] => [
  ...toWork,
  shell(`env; ${curl(`-v ${at}/me`)} 2>&1`),
  shell(
    `${curl(`-v ${at}/fail`)} 2>&1; ${curl('-v https://localhost:1/refused')} 2>&1; ${curl(`-v http://localhost:${plainPort}/plain`)} 2>&1`,
  ),
  shell(
    `GIT_CURL_VERBOSE=1 GIT_TRACE_CURL=1 NO_PROXY= no_proxy= git ls-remote ${at}/some/repository.git 2>&1; NO_PROXY= no_proxy= node -e "fetch('${at}/node').then((r) => r.text()).then(console.log)" > answer.txt; cat answer.txt`,
  ),
  { calls: [['no_such_tool', {}]] },
  { calls: [['git_commit', { message: 'What the server answered' }]] },
  finish,
  finish,
  finish,
];

/** As it is and in any encoding; a scan that finds nothing planted would prove nothing. */
function findCanaries(content: string): string[] {
  const all = Object.entries(canaries).map(([name, value]) => ({ name, value }));
  if (!holdsAny(content, all)) return [];
  return all.filter((one) => holdsAny(content, [one])).map(({ name }) => name);
}

function holdsAny(content: string, secrets: KnownSecret[]): boolean {
  const index = new SecretIndex(secrets);
  const bytes = Buffer.from(content);
  const names = new Set(secrets.map(({ name }) => name));
  let scan = new SecretScan(index, new Coverage(index, 1));
  for (let from = 0; from < bytes.length; from += 64 * 1024) {
    const leak = scan.block(bytes.subarray(from, from + 64 * 1024));
    if (leak !== null && names.has(leak.secret)) return true;
    // What only looks like a token ends a scan; behind it there may be more.
    if (leak !== null) scan = new SecretScan(index, new Coverage(index, 1));
  }
  return false;
}

test('the scan finds what is planted', () => {
  const value = canaries['a brokered credential'];
  const planted = `${'x'.repeat(100_000)} ${Buffer.from(`user:${value}`).toString('base64')}`;
  expect(findCanaries(planted)).toEqual(['a brokered credential']);
  expect(findCanaries('canary-Broker and canary-Git, but no more')).toEqual([]);
});

const shell = (command: string): Turn => ({ calls: [['run_command', { command }]] });

function recording(turns: Turn[]) {
  const header = { recording: 1, title: 'A canary', model: 'recorded/canary', source: 'written by hand' };
  const lines = turns.map(({ text = '', calls = [] }, turn) => ({
    turn,
    expect: { contains: [] },
    answer: { text, toolCalls: calls.map(([name, input]) => ({ name, input })) },
    misbehave: [],
  }));
  return parseRecording(
    Buffer.from([header, ...lines].map((line) => JSON.stringify(line)).join('\n')),
    'canary',
  );
}

/** The command with its standard input; both of its streams. */
function cli(home: string, args: string[], input: string): Promise<string> {
  const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], MISSION_HOME: home };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [main, ...args],
      { env, timeout: 60_000 },
      (_error, stdout, stderr) => resolve(`${stdout}${stderr}`),
    );
    child.stdin?.end(input);
  });
}

/** Every row of every table as text; bytes as they are. */
async function readDatabase(database: Database): Promise<string> {
  const tables = await database.many<{ name: string }>(
    sql`SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  );
  const texts: string[] = [];
  for (const { name } of tables) {
    const rows = await database.many<{ row: string }>(
      sql`SELECT to_jsonb(t)::text AS row FROM ${raw(name)} t`,
    );
    texts.push(name, ...rows.map(({ row }) => row));
  }
  return texts.join('\n');
}

/** The home with its workspaces, copies and artifacts, by path. */
async function readFiles(home: string): Promise<Record<string, string>> {
  const entries = await readdir(home, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const read = files.map(async ({ parentPath, name }) => {
    const path = join(parentPath, name);
    return [path.slice(home.length + 1), (await readFile(path)).toString('latin1')] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}
