import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { connectionFile } from '../../contract/system.ts';
import {
  git as gitHere,
  scratchFolder,
  serveGit,
} from '../../server/computers/workspaces/test-repository.ts';
import { git } from '../small-repository.ts';
import { type House, moving, openHouse } from './changes-house.ts';

const folder = scratchFolder();
const token = 'a-token-of-the-forge-5678';
let house: House;
let forge: Awaited<ReturnType<typeof serveGit>>;

beforeAll(async () => {
  forge = await serveGit(folder.path, { password: token });
  const signingKey = join(folder.path, 'signing');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', signingKey]);
  house = await openHouse({ forges: { '127.0.0.1': 'gitea' }, commits: { name: 'Company', signingKey } });
  await house.start({ env: { GITEA_TOKEN: token } });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await forge[Symbol.asyncDispose]();
  folder.remove();
});

const upload = async (name: string, bytes: Uint8Array) => {
  const { url, key } = connectionFile.parse(
    JSON.parse(await readFile(join(house.home.path, 'cli.json'), 'utf8')),
  );
  const response = await fetch(new URL(`/api/v1/attachments?name=${encodeURIComponent(name)}`, url), {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(bytes),
    signal: AbortSignal.timeout(30_000),
  });
  return { status: response.status, body: z.record(z.string(), z.unknown()).parse(await response.json()) };
};

async function changeOf(name: string, repository: string, more: { folder?: string; checks?: string[] } = {}) {
  const { api } = house.home;
  const model = await house.record(name, `echo ${name} > added.txt`);
  const { task, run } = await api.createTask({
    instructions: name,
    repository,
    model,
    checks: ['ls'],
    ...more,
  });
  const ended = await api.awaitEnd(run.id);
  expect(ended).toMatchObject({ status: 'succeeded' });
  const [change] = await api.changes(task.id);
  if (change === undefined) throw new Error('there is no change');
  return { task, run, change };
}

test("a folder's checks run in it, and the repository's own texts are kept with the run", async () => {
  const { api } = house.home;
  const repository = await house.repository({
    'packages/a/check.sh': 'test "$(basename "$PWD")" = a\n',
    'packages/a/AGENTS.md': 'Prefer short names.\n',
    'AGENTS.md': 'All of it.\n',
  });
  const { task, run, change } = await changeOf('monorepo', repository, {
    folder: './packages/a/',
    checks: ['sh check.sh', 'ls; false || true'],
  });
  expect(task.folder).toBe('packages/a');
  expect([...new Set(change.receipt.checks.map((check) => check.command))]).toEqual([
    'cd packages/a && sh check.sh',
    'cd packages/a && { ls; false || true\n}',
  ]);
  const prepare = (await api.steps(run.id)).find((step) => step.kind === 'phase' && step.name === 'prepare');
  expect(prepare?.result).toMatchObject({
    repositoryTexts: [{ path: 'packages/a/AGENTS.md', text: 'Prefer short names.\n' }, { path: 'AGENTS.md' }],
  });
  const body = { instructions: 'x', repository, model: 'recorded/monorepo', checks: ['ls'] };
  const missing = await api.createTask({ ...body, folder: 'a' });
  expect((await api.awaitEnd(missing.run.id)).outcome).toMatch(
    /has no folder a; there are packages\/a: give another/,
  );
  await expect(api.createTask({ ...body, folder: '../x' })).rejects.toThrow(/inside the repository/);
});

test('a change is pushed to the forge once a person has approved exactly that', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'a\n' });
  gitHere(folder.path, 'init', '-q', '--bare', 'app.git');
  await git(repository, 'config', 'remote.origin.url', `${forge.url}/app.git`);
  const { change } = await changeOf('pushed', repository);
  const push = () => house.request('POST', `/changes/${change.id}/push`, moving, {});
  const [{ run }, again] = [await push(), await push()];
  expect(again.run.id).toBe(run.id);
  const opened = await api.awaitEvent((event) => event.type === 'ask.opened' && event.runid === run.id);
  const ask = (await api.asks('open')).find(({ runId }) => runId === run.id);
  expect(opened.subject).toBe(`ask/${ask?.id}`);
  expect(ask).toMatchObject({
    kind: 'approval',
    owner: 'owner',
    defaultDecision: 'deny',
    detail: {
      url: `${forge.url}/app.git`,
      branch: `mission/${change.id}`,
      commit: change.commit,
      replaces: null,
    },
  });
  expect(gitHere(join(folder.path, 'app.git'), 'for-each-ref')).toBe('');
  await api.decide(ask?.id ?? '', 'approve', '');
  expect(await api.awaitEnd(run.id)).toMatchObject({ kind: 'push', status: 'succeeded' });
  expect(gitHere(join(folder.path, 'app.git'), 'rev-parse', `mission/${change.id}`)).toBe(change.commit);
  const pushed = gitHere(join(folder.path, 'app.git'), 'cat-file', 'commit', change.commit);
  expect(pushed).toMatch(
    /^author Company <mission-control@localhost> [\s\S]*^gpgsig -----BEGIN SSH SIGNATURE-----$/m,
  );
  const told = await api.awaitEvent((event) => event.type === 'change.pushed');
  expect(JSON.stringify(told)).not.toContain(token);
  // What is there already is seen, and asks nobody.
  const second = await push();
  expect(second.run.id).not.toBe(run.id);
  expect(await api.awaitEnd(second.run.id)).toMatchObject({ status: 'succeeded' });
  expect((await api.asks()).filter(({ runId }) => runId === second.run.id)).toEqual([]);
  expect(JSON.stringify([await api.steps(run.id), await api.eventsUntilNow()])).not.toContain(token);
});

test('a push that is denied, or has no forge, pushes nothing and says why', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'a\n' });
  const { change } = await changeOf('denied', repository);
  const nowhere = await house.request('POST', `/changes/${change.id}/push`, moving, {});
  expect((await api.awaitEnd(nowhere.run.id)).outcome).toMatch(/is no https:\/\/ address of a forge/);
  gitHere(folder.path, 'init', '-q', '--bare', 'denied.git');
  await git(repository, 'config', 'remote.origin.url', `${forge.url}/denied.git`);
  const { run } = await house.request('POST', `/changes/${change.id}/push`, moving, {});
  await api.awaitEvent((event) => event.type === 'ask.opened' && event.runid === run.id);
  const ask = (await api.asks('open')).find(({ runId }) => runId === run.id);
  await api.decide(ask?.id ?? '', 'deny', 'not yet');
  expect((await api.awaitEnd(run.id)).outcome).toBe('not pushed: owner denied it: not yet');
  expect(gitHere(join(folder.path, 'denied.git'), 'for-each-ref')).toBe('');
});

test('files given with a task are there read-only, and leave no trace in the change', async () => {
  const { api } = house.home;
  const repository = await house.repository({ 'a.txt': 'a\n' });
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
  const text = await upload('notes (1).txt', Buffer.from('from the notes\n'));
  const same = await upload('notes (1).txt', Buffer.from('others\n'));
  const image = await upload('screen.png', png);
  expect(image).toMatchObject({ status: 201, body: { mediaType: 'image/png', size: 16 } });
  expect(await upload('../x', png)).toMatchObject({ status: 400 });
  const model = await house.record(
    'attached',
    'cat "/attachments/notes (1).txt" "/attachments/2-notes (1).txt" > added.txt; ! touch /attachments/x && ! sh -c "echo x >> /attachments/screen.png" && stat -c %s /attachments/screen.png',
    { contains: ['16\n'] },
  );
  const attachments = [text, same, image].map(({ body }) => String(body['id']));
  const services: ['postgresql'] = ['postgresql'];
  const checks = ['ls /attachments && exit 1; cat added.txt; test "$PGDATABASE" = test'];
  const body = { instructions: 'x', repository, model, services, checks };
  const { run, task } = await api.createTask({ ...body, attachments });
  expect(await api.awaitEnd(run.id)).toMatchObject({ status: 'succeeded' });
  const [change] = await api.changes(task.id);
  expect(change?.receipt.checks.find(({ where }) => where === 'change')?.excerpt).toContain(
    'from the notes\nothers\n',
  );
  await expect(api.createTask({ ...body, attachments: ['art_none'] })).rejects.toThrow(
    /there is no attachment/,
  );
});
