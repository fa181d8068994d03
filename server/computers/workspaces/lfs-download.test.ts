import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sandbox } from '../sandbox.ts';
import { openCleanRoom } from './clean-room.ts';
import { type Git, openGit } from './git.ts';
import { batchAddress, downloadLfs } from './lfs-download.ts';
import { askLfs } from './lfs-request.ts';
import { openRepositories } from './repositories.ts';
import { git, makeRepository, never, openTestSandbox, scratchFolder, serveGit } from './test-repository.ts';
import { openWorkspaces } from './workspace.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
interface Seen {
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

const folder = scratchFolder();
const at = (name: string) => join(folder.path, name);
const oidOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const pointerOf = (bytes: Buffer, size = bytes.length) =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${oidOf(bytes)}\nsize ${size}\n`;
const wantedOf = (bytes: Buffer, size = bytes.length) => ({ path: 'a.bin', oid: oidOf(bytes), size });
const content = Buffer.from(`binary\0${'x'.repeat(200_000)}\n`);
const other = Buffer.from('other content\n');
const byHand = 'clone it on this machine, run `git lfs pull` there, and give the path';
const identity = { name: 'Agent', email: 'agent@mission.local' };
let sandbox: Sandbox;
let ours: Git;
let forgeGit: Awaited<ReturnType<typeof serveGit>>;

beforeAll(async () => {
  sandbox = await openTestSandbox(folder.path);
  ours = await openGit(at('home'), sandbox);
  forgeGit = await serveGit(folder.path);
});
afterAll(async () => {
  await forgeGit[Symbol.asyncDispose]();
  folder.remove();
});

async function listen(
  answer: Answer,
): Promise<{ url: string; port: number; seen: Seen[] } & AsyncDisposable> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      seen.push({ path: request.url ?? '', headers: request.headers, body });
      answer(request, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A forge: git by its own server, the batch API beside it, and content at `/objects/<oid>`. */
async function openForge(
  options: {
    objects?: Record<string, Buffer>;
    batch?: (oid: string, url: string) => object;
    at?: Record<string, Answer>;
  } = {},
) {
  const { objects = {}, at: places = {} } = options;
  const batch =
    options.batch ??
    ((oid: string, url: string) =>
      oid in objects
        ? { actions: { download: { href: `${url}/objects/${oid}`, header: { Authorization: 'Bearer x' } } } }
        : { error: { code: 404, message: 'Object does not exist' } });
  const forge: Awaited<ReturnType<typeof listen>> = await listen((request, response) => {
    const path = request.url ?? '';
    const place = places[path];
    if (place !== undefined) return place(request, response);
    if (path.endsWith('/info/lfs/objects/batch')) {
      const asked: { objects: { oid: string; size: number }[] } = JSON.parse(forge.seen.at(-1)?.body ?? '');
      const answered = asked.objects.map(({ oid, size }) => ({ oid, size, ...batch(oid, forge.url) }));
      response.setHeader('content-type', 'application/vnd.git-lfs+json');
      return response.end(JSON.stringify({ transfer: 'basic', objects: answered }));
    }
    const object = objects[path.replace('/objects/', '')];
    if (object !== undefined) return response.end(object);
    return response.writeHead(307, { location: `${forgeGit.url}${path}` }).end();
  });
  return forge;
}

function makeSource(name: string, files: Record<string, string>): void {
  makeRepository(at(name), {
    '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
    ...files,
  });
  git(folder.path, 'clone', '-q', '--bare', at(name), at(`${name}.git`));
}

function fresh(name: string) {
  const home = at(`homes/${name}`);
  return { home, repositories: openRepositories(home, ours), parts: { home, sandbox, git: ours } };
}

const kept = (store: string) =>
  existsSync(store)
    ? readdirSync(store, { recursive: true, withFileTypes: true }).flatMap((entry) =>
        entry.isFile() ? [entry.name] : [],
      )
    : [];

test('content from the address is in a workspace and in a clean room, and .lfsconfig leads nowhere', async () => {
  await using hostile = await listen((_request, response) => response.writeHead(500).end());
  makeSource('app', {
    'a.bin': pointerOf(content),
    'sub/b.bin': pointerOf(other),
    'sub/c.bin': pointerOf(content),
    '.lfsconfig': `[lfs]\n\turl = ${hostile.url}/\n[remote "origin"]\n\tlfsurl = ${hostile.url}/\n`,
  });
  await using forge = await openForge({ objects: { [oidOf(content)]: content, [oidOf(other)]: other } });
  const { repositories, parts } = fresh('app');
  const { repository, commit } = await repositories.fetch({ location: `${forge.url}/app.git` }, never);
  const command = 'sha256sum < a.bin; cmp a.bin sub/c.bin; cat sub/b.bin; git status --porcelain';
  const expected = `${oidOf(content)}  -\nother content\n`;
  const room = await openCleanRoom(parts);
  expect(await room.runCheck({ repository, commit, command }, never)).toMatchObject({
    outcome: 'passed',
    excerpt: expected,
  });
  const workspace = await openWorkspaces(parts).create(
    'run',
    '1',
    { repository, commit, branch: 'mission/x', identity },
    never,
  );
  const ran = await workspace.run({ argv: ['sh', '-euc', command] }, never);
  expect(ran.stdout.toString('utf8')).toBe(expected);
  expect(hostile.seen).toEqual([]);
  const lfs = forge.seen.filter(({ path }) => /lfs|objects\/[0-9a-f]{64}/.test(path));
  expect(lfs.map(({ path }) => path).sort()).toEqual(
    ['/app.git/info/lfs/objects/batch', `/objects/${oidOf(content)}`, `/objects/${oidOf(other)}`].sort(),
  );
  expect(lfs[0]?.headers).toMatchObject({
    accept: 'application/vnd.git-lfs+json',
    'content-type': 'application/vnd.git-lfs+json',
  });
  expect(lfs[0]?.headers.authorization).toBeUndefined();
  expect(JSON.parse(lfs[0]?.body ?? '')).toMatchObject({ operation: 'download', transfers: ['basic'] });
  expect(lfs[1]?.headers.authorization).toBe('Bearer x');
  await repositories.fetch({ location: `${forge.url}/app.git` }, never);
  expect(forge.seen.filter(({ path }) => path.endsWith('/batch'))).toHaveLength(1);
});

describe('what is not to be had is named with another way', () => {
  test('a missing object, by its file; once it is there, the same fetch succeeds', async () => {
    makeSource('holes', { 'a.bin': pointerOf(other), 'z.bin': pointerOf(content) });
    const objects: Record<string, Buffer> = { [oidOf(other)]: other };
    await using forge = await openForge({ objects });
    const location = `${forge.url}/holes.git`;
    const { repositories } = fresh('holes');
    await expect(repositories.fetch({ location }, never)).rejects.toMatchObject({
      code: 'repository_unusable',
      message: `${location} keeps 2 of its files in Git LFS (such as z.bin), and its server does not have it (404): ${byHand}`,
    });
    objects[oidOf(content)] = content;
    await repositories.fetch({ location }, never);
  });

  test('credentials', async () => {
    makeSource('closed', { 'a.bin': pointerOf(content) });
    for (const status of [401, 403]) {
      await using forge = await openForge({
        at: {
          '/closed.git/info/lfs/objects/batch': (_request, response) => response.writeHead(status).end(),
        },
      });
      const failing = fresh(`closed${status}`).repositories.fetch(
        { location: `${forge.url}/closed.git` },
        never,
      );
      await expect(failing).rejects.toThrow(
        new RegExp(
          `such as a.bin\\), and its server asks for credentials \\(.*: ${status}\\): ${byHand.slice(0, 30)}`,
        ),
      );
    }
  });
});

describe('a download', () => {
  const bad: [string, Buffer, number, RegExp][] = [
    ['other content of the size', Buffer.from(content).fill('y'), content.length, /other content/],
    ['too much', Buffer.concat([content, other]), content.length, /more than the 200008 bytes/],
    ['too little', content.subarray(1), content.length, /gave 200007 bytes where it is to have 200008/],
    ['more than 2 GiB', content, 3 * 1024 ** 3, /2 GiB/],
  ];
  test.each(bad)('of %s is refused, and nothing of it is kept', async (name, given, size, reason) => {
    await using forge = await openForge({ objects: { [oidOf(content)]: given } });
    const store = at(`stores/${name}`);
    const failing = downloadLfs(`${forge.url}/x`, [wantedOf(content, size)], store, never);
    await expect(failing).rejects.toThrow(reason);
    expect(kept(store)).toEqual([]);
  });

  test('follows a redirect to another host without the headers, and three at most', async () => {
    await using elsewhere = await listen((_request, response) => response.end(content));
    let places: Record<string, Answer> = {};
    const to =
      (location: string): Answer =>
      (_request, response) =>
        response.writeHead(302, { location }).end();
    places = { '/one': to('/two'), '/two': to(`${elsewhere.url}/content`), '/loop': to('/loop') };
    let first = '/one';
    const header = { Authorization: 'Bearer x', 'X-Key': 'y', Host: 'evil', 'Content-Length': '5' };
    await using forge = await openForge({
      at: places,
      batch: (_oid, url) => ({ actions: { download: { href: `${url}${first}`, header } } }),
    });
    const download = () => downloadLfs(`${forge.url}/x`, [wantedOf(content)], at(`stores${first}`), never);
    await download();
    expect(kept(at('stores/one'))).toEqual([oidOf(content)]);
    const secrets = (seen: Seen[], path: string) => {
      const { authorization, host, ...headers } = seen.find((one) => one.path === path)?.headers ?? {};
      return [authorization, headers['x-key'], host, headers['content-length']];
    };
    expect(secrets(forge.seen, '/two')).toEqual(['Bearer x', 'y', `127.0.0.1:${forge.port}`, undefined]);
    expect(secrets(elsewhere.seen, '/content')).toEqual([
      undefined,
      undefined,
      `127.0.0.1:${elsewhere.port}`,
      undefined,
    ]);
    first = '/loop';
    await expect(download()).rejects.toThrow('redirects more than 3 times');
    expect(forge.seen.filter(({ path }) => path === '/loop')).toHaveLength(4);
  });

  test.each(['file:///etc/passwd', 'ftp://127.0.0.1/x', 'nonsense'])('does not go to %s', async (href) => {
    await using forge = await openForge({ batch: () => ({ actions: { download: { href } } }) });
    const failing = downloadLfs(`${forge.url}/x`, [wantedOf(content)], at('stores/links'), never);
    await expect(failing).rejects.toThrow('neither http nor https');
  });

  test('asks for at most 100 at once, and has at most 4 under way', async () => {
    const many = Array.from({ length: 130 }, (_, index) => Buffer.from(`content ${index}`));
    const objects = Object.fromEntries(many.map((bytes) => [oidOf(bytes), bytes]));
    let underWay = 0;
    let most = 0;
    const held: (() => void)[] = [];
    // The first four are answered once all four are there.
    const answer =
      (bytes: Buffer): Answer =>
      (_request, response) => {
        most = Math.max(most, ++underWay);
        held.push(() => {
          underWay -= 1;
          response.end(bytes);
        });
        if (most >= 4) setImmediate(() => held.splice(0).forEach((end) => void end()));
      };
    const places = Object.entries(objects).map(([oid, bytes]) => [`/objects/${oid}`, answer(bytes)] as const);
    await using forge = await openForge({ objects, at: Object.fromEntries(places) });
    const wanted = many.map((bytes) => wantedOf(bytes));
    await downloadLfs(`${forge.url}/x`, wanted, at('stores/many'), never);
    expect(kept(at('stores/many')).sort()).toEqual(Object.keys(objects).sort());
    const batches = forge.seen.filter(({ path }) => path.endsWith('/batch'));
    expect(batches.map(({ body }) => JSON.parse(body).objects.length)).toEqual([100, 30]);
    expect(most).toBe(4);
  });
});

describe('a download that cannot be finished', () => {
  test('ends with its signal, and keeps nothing of what was under way', async () => {
    const stop = new AbortController();
    await using forge = await openForge({
      objects: { [oidOf(content)]: content },
      at: {
        [`/objects/${oidOf(content)}`]: (_request, response) => {
          response.write(content.subarray(0, 10), () => stop.abort(new Error('stopped')));
        },
      },
    });
    const failing = downloadLfs(`${forge.url}/x`, [wantedOf(content)], at('stores/stopped'), stop.signal);
    await expect(failing).rejects.toThrow('stopped');
    expect(kept(at('stores/stopped'))).toEqual([]);
  });

  test('for want of a server may be tried again', async () => {
    let closed = '';
    {
      await using forge = await openForge();
      closed = forge.url;
    }
    const failing = downloadLfs(`${closed}/x`, [wantedOf(content)], at('stores/closed'), never);
    await expect(failing).rejects.toMatchObject({
      message: expect.stringContaining('ECONNREFUSED'),
      again: true,
      path: 'a.bin',
    });
  });
});

test('a public server does not lead to this machine, by name or by number', async () => {
  await using here = await listen((_request, response) => response.end('secret'));
  for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '[::1]', '2130706433', '0.0.0.0']) {
    for (const deepest of [0, 1] as const) {
      const url = new URL(`http://${host}:${here.port}/`);
      await expect(askLfs({ url, method: 'GET', headers: {}, deepest }, never)).rejects.toThrow('is inside');
    }
  }
  for (const host of ['169.254.169.254', '10.1.2.3', '192.168.1.1', '[fd00:ec2::254]']) {
    const url = new URL(`http://${host}/`);
    await expect(askLfs({ url, method: 'GET', headers: {}, deepest: 0 }, never)).rejects.toThrow('is inside');
  }
  expect(here.seen).toEqual([]);
});

test('the batch address is git-lfs’s own', () => {
  for (const given of ['https://h/a/b', 'https://h/a/b.git', 'https://h/a/b/', 'https://h/a/b.git/?x=1#y'])
    expect(batchAddress(given).href).toBe('https://h/a/b.git/info/lfs/objects/batch');
});
