import { lstatSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import { AppError } from '../errors.ts';
import type { Command } from './sandbox.ts';

/** A mount may neither hide nor sit inside what the walls are made of. */
const ownRoots = ['/usr', '/bin', '/sbin', '/etc', '/proc', '/dev', '/sys', '/opt/node', '/run'];
const ownLibraries = /^\/lib[^/]*(\/|$)/;

/** @throws AppError `invalid_request` for a mount or folder that would breach the walls, whatever they are made of */
export function assertPlaces(command: Command): void {
  for (const target of [...command.mounts.map((mount) => mount.target), ...(command.scratch ?? [])]) {
    assertTarget(target);
  }
  if (!isPlainPath(command.cwd))
    throw new AppError('invalid_request', `${command.cwd} is no absolute folder`);
  assertPlainNesting(command);
}

function assertTarget(target: string): void {
  const within = ownRoots.some((root) => target === root || target.startsWith(`${root}/`));
  const above = ownRoots.some((root) => root.startsWith(`${target}/`));
  if (!isPlainPath(target) || target === '/' || within || above || ownLibraries.test(target)) {
    throw new AppError('invalid_request', `nothing may be mounted at ${JSON.stringify(target)}`);
  }
}

function isPlainPath(path: string): boolean {
  return posix.isAbsolute(path) && posix.normalize(path) === path && !path.includes('\0');
}

/**
 * A mount inside another's folder follows what the folder's owner put there: a link would lead whoever creates
 * the place of a mount out of the workspace.
 */
function assertPlainNesting(command: Command): void {
  for (const inner of command.mounts) {
    for (const outer of command.mounts) {
      if (inner === outer || !inner.target.startsWith(`${outer.target}/`)) continue;
      let path = outer.source;
      for (const part of relative(outer.target, inner.target).split('/')) {
        path = join(path, part);
        if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) {
          throw new AppError(
            'invalid_request',
            `${inner.target} is a link in the folder that it is mounted into`,
          );
        }
      }
    }
  }
}
