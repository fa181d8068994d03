import { realpath, stat } from 'node:fs/promises';
import { AppError } from '../../errors.ts';
import type { Mount } from '../sandbox.ts';
import { isMissing } from './folders.ts';

/** What one command of git needs inside the sandbox to reach an address. */
export interface Transport {
  mounts: Mount[];
  env: Record<string, string>;
}

/** Where ssh looks in the sandbox: the home of its user there. */
const sshTarget = '/home/agent/.ssh';

/** Nothing is asked, no unknown host is trusted, and nothing but the one connection is made. */
const sshOptions = [
  'BatchMode=yes',
  'StrictHostKeyChecking=yes',
  'UpdateHostKeys=no',
  'ClearAllForwardings=yes',
  'ForwardAgent=no',
  'ForwardX11=no',
  'PermitLocalCommand=no',
  'ControlMaster=no',
  'ControlPath=none',
  'ConnectTimeout=30',
];

const host = '[A-Za-z0-9_][A-Za-z0-9_.-]*';
const user = '[A-Za-z0-9_][A-Za-z0-9_.+-]*';
const sshUrl = new RegExp(`^ssh://(?:${user}@)?(${host}|\\[[0-9a-fA-F:]+\\])(?::\\d{1,5})?/[^-\\s][^\\s]*$`);
const shortForm = new RegExp(`^${user}@(${host}):(?!/{2}|-)[^\\s]+$`);

/** The host of an address that git reaches by ssh, `ssh://…` or `git@host:path`; null for every other text. */
export function sshHostOf(location: string): string | null {
  return (location.match(sshUrl) ?? location.match(shortForm))?.[1] ?? null;
}

/**
 * For ssh, the user's own keys, configuration and known hosts, read-only and for the one command.
 * @param sshFolder the user's `.ssh`; null where there is none to be used
 * @throws AppError `repository_unusable` where ssh is needed and nothing is set up for it
 */
export async function openTransport(location: string, sshFolder: string | null): Promise<Transport> {
  if (sshHostOf(location) === null) return { mounts: [], env: {} };
  const folder = sshFolder === null ? null : await realFolder(sshFolder);
  if (folder === null) {
    throw new AppError(
      'repository_unusable',
      `${location} is reached by ssh, and ${sshFolder ?? '~/.ssh'} does not exist for the user that Mission Control runs as: set up a key there, or give the https:// address`,
    );
  }
  const mounts: Mount[] = [{ source: folder, target: sshTarget, mode: 'read' }];
  // A configuration may name its keys by their full path.
  if (sshFolder !== null && sshFolder !== sshTarget)
    mounts.push({ source: folder, target: sshFolder, mode: 'read' });
  return {
    mounts,
    env: {
      GIT_SSH_COMMAND: `ssh ${sshOptions.map((option) => `-o ${option}`).join(' ')}`,
      GIT_SSH_VARIANT: 'ssh',
    },
  };
}

/** What a failure of ssh means for a person; null where it is none of ssh. */
export function explainSshFailure(location: string, said: string): string | null {
  const name = sshHostOf(location);
  if (name === null) return null;
  if (
    /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No .* host key is known/i.test(said)
  )
    return `${location} cannot be trusted yet: connect once by hand, \`ssh -T ${location.split(':')[0]?.startsWith('ssh') ? name : location.split(':')[0]}\`, as the user that Mission Control runs as, and check the host's key`;
  if (
    /Permission denied|passphrase|no such identity|Could not open a connection to your authentication agent/i.test(
      said,
    )
  )
    return `${location} accepts none of the keys in ~/.ssh: give one without a passphrase that may read it (a deploy key), or clone it on this machine and give the path`;
  if (/cannot run ssh|ssh: not found/i.test(said))
    return `${location} needs ssh: run apt-get install openssh-client`;
  return null;
}

async function realFolder(path: string): Promise<string | null> {
  try {
    const real = await realpath(path);
    return (await stat(real)).isDirectory() ? real : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
