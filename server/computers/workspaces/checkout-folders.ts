import type { Mount } from '../sandbox.ts';

export const workspaceTarget = '/workspace';
/** The home of every command. */
export const homeTarget = '/home/agent';
/** Tools write here while they run; the rest of node_modules is read-only. */
export const scratchOfModules = ['.cache', '.vite', '.vite-temp', '.vitest-cache'];

/** The two folders of a checkout on the host: the work tree and, apart from it, its git folder. */
export interface CheckoutFolders {
  files: string;
  git: string;
}

export function checkoutMounts(folders: CheckoutFolders, mode: Mount['mode'] = 'write'): Mount[] {
  return [
    { source: folders.files, target: workspaceTarget, mode },
    { source: folders.git, target: `${workspaceTarget}/.git`, mode },
  ];
}
