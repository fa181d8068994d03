import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { House } from '../e2e/house.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const limit = { timeout: 90_000 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mission-package-'));
  // Packed as it would be published, and unpacked as npm installs it.
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root, ...limit });
  const [archive = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  const place = join(folder, 'node_modules', 'mission-control');
  await mkdir(place, { recursive: true });
  await run('tar', ['-xzf', join(folder, archive), '-C', place, '--strip-components=1'], limit);
  await symlink(join(root, 'node_modules', 'zod'), join(folder, 'node_modules', 'zod'));
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('mission-control/client works in plain Node, out of the package', async () => {
  await using house = await House.open({ roles: ['api'] });
  const program = `
    import { ApiProblem, createClient } from 'mission-control/client';
    const client = createClient({ url: ${JSON.stringify(house.url)}, key: process.env.KEY });
    const project = await client.createProject({ body: { name: 'packed' } });
    for await (const event of client.events({ after: 0, types: ['project.*'] })) {
      console.log(event.type, event.subject === 'project/' + project.id);
      break;
    }
    await client.getTask({ id: 'task_none' }).catch((error) => console.log(error instanceof ApiProblem, error.code));
  `;
  await writeFile(join(folder, 'program.js'), program);
  const { stdout, stderr } = await run(process.execPath, ['program.js'], {
    cwd: folder,
    env: { KEY: house.key, PATH: process.env['PATH'] },
    ...limit,
  });
  expect([stdout, stderr]).toEqual(['project.created true\ntrue not_found\n', '']);
});

test('its types are there for a program in TypeScript', async () => {
  const program = `
    import { createClient } from 'mission-control/client';
    const client = createClient({ url: 'http://127.0.0.1:4700', key: 'k' });
    export const title: Promise<string> = client.getTask({ id: 'task_x' }).then((task) => task.title);
    // @ts-expect-error a task has no colour
    export const colour = client.getTask({ id: 'task_x' }).then((task) => task.colour);
    // @ts-expect-error the identifier is missing
    export const none = client.getTask({});
  `;
  await writeFile(join(folder, 'program.ts'), program);
  const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'esnext', '--types', 'node'];
  const roots = ['--typeRoots', join(root, 'node_modules', '@types')];
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const checked = await run(process.execPath, [tsc, ...options, ...roots, 'program.ts'], {
    cwd: folder,
    ...limit,
  })
    .then(() => '')
    .catch((error: { stdout: string }) => error.stdout);
  expect(checked).toBe('');
});
