import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdirSync, openSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { listWritableProc, locateNpm } from '../system-files.ts';
import { type ContainerView, inside } from './container-options.ts';
import { buildSeccompProfile } from './seccomp-profile.ts';

const path = [
  '/opt/node/bin',
  '/usr/local/bin',
  '/usr/bin',
  '/bin',
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
].join(':');

/**
 * Writes what every container is shown into `folder` (private to this server): our Node with its npm, who the
 * user is, and the pipe by whose end a container learns of the server's death.
 * @returns `close` ends every container of this server that still runs
 */
export async function prepareView(
  folder: string,
  options: {
    image: Docker.ImageInspectInfo;
    user: { uid: number; gid: number };
    labels: Record<string, string>;
  },
): Promise<{ view: ContainerView; close(): void }> {
  const { image, labels, user } = options;
  const files = [...writeNode(join(folder, 'node')), ...writeAccounts(folder, user)];
  const alive = join(folder, 'alive');
  const descriptor = await openPipe(alive);
  const profile = buildSeccompProfile(process.arch);
  return {
    view: {
      imageId: image.Id,
      imageVariables: (image.Config.Env ?? []).map((entry) => entry.split('=')[0] ?? '').filter(Boolean),
      user,
      files: [...files, { source: alive, target: inside.alive }],
      path,
      seccomp: profile && JSON.stringify(profile),
      readOnlyProc: listWritableProc(),
      labels,
    },
    close: () => closeSync(descriptor),
  };
}

/** Our own Node, for our own helpers too: an image need not bring one. */
function writeNode(folder: string): { source: string; target: string }[] {
  const npm = locateNpm(process.execPath);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  mkdirSync(join(folder, 'lib/node_modules/npm'), { recursive: true });
  writeFileSync(join(folder, 'bin/node'), '');
  const files = [
    { source: folder, target: inside.node },
    { source: realpathSync(process.execPath), target: `${inside.node}/bin/node` },
  ];
  if (!npm) return files;
  for (const name of ['npm', 'npx']) {
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(folder, 'bin', name));
  }
  return [...files, { source: npm, target: `${inside.node}/lib/node_modules/npm` }];
}

/** Programs such as ssh refuse a user that has no name. */
function writeAccounts(folder: string, { uid, gid }: { uid: number; gid: number }) {
  const [passwd, group] = [join(folder, 'passwd'), join(folder, 'group')];
  const root = uid === 0 ? [] : ['root:x:0:0:root:/nonexistent:/usr/sbin/nologin'];
  const agent = `agent:x:${uid}:${gid}:agent:/home/agent:/bin/sh`;
  const nobody = 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin';
  writeFileSync(passwd, `${[...root, agent, nobody].join('\n')}\n`);
  writeFileSync(
    group,
    `${[...(gid === 0 ? [] : ['root:x:0:']), `agent:x:${gid}:`, 'nogroup:x:65534:'].join('\n')}\n`,
  );
  return [
    { source: passwd, target: '/etc/passwd' },
    { source: group, target: '/etc/group' },
  ];
}

/** Nobody but this process may hold its writing end, hence no permission to write for those who only see it. */
async function openPipe(file: string): Promise<number> {
  const child = spawn('mkfifo', ['-m', '600', file], { stdio: 'ignore' });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`mkfifo failed at ${file}`);
  const descriptor = openSync(file, constants.O_RDWR);
  await chmod(file, 0o444);
  return descriptor;
}
