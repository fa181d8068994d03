import { posix } from 'node:path';

/** Folders whose lockfiles and tests are material, not the project's own parts. */
const notParts =
  /^(node_modules|\.venv|venv|vendor|third_party|dist|build|target|examples?|samples?|fixtures?|testdata|tests?|__tests__|e2e|docs?|templates?|bench|benchmarks?)$/i;
const deepest = 3;

/**
 * A shell line that runs `command` in a folder of the repository, from its root. Where the folder is missing
 * nothing of the command runs.
 * @param folder '' for the root
 */
export function inFolder(folder: string, command: string): string {
  if (folder === '') return command;
  const simple = !/[;&|\n#<]/.test(command);
  return `cd ${quote(folder)} && ${simple ? command : `{ ${command}\n}`}`;
}

/** The folders that command lines of the form `cd FOLDER && …` work in, without the root. */
export function foldersNamedIn(commands: readonly string[]): string[] {
  const found = new Set<string>();
  for (const command of commands) {
    const words = command.match(
      /^\s*(?:\(|\{)?\s*cd\s+(?:--\s+)?(?:'([^']+)'|"([^"$`\\]+)"|([^\s;&|'"$`\\]+))/,
    );
    const named = words?.[1] ?? words?.[2] ?? words?.[3];
    const folder = named === undefined ? null : insideRepository(named);
    if (folder !== null && folder !== '') found.add(folder);
  }
  return [...found];
}

/** A folder as repositories name it: '' for the root, null where it leads out. */
export function insideRepository(folder: string): string | null {
  const plain = posix.normalize(folder).replace(/\/+$/, '');
  if (plain === '.' || plain === '') return '';
  const parts = plain.split('/');
  if (plain.startsWith('/') || parts.some((part) => part === '..' || /^\.git$/i.test(part))) return null;
  return plain;
}

/** The folder, its parents and the root, the nearest first. */
export function folderAndAbove(folder: string): string[] {
  const parts = folder === '' ? [] : folder.split('/');
  return [...parts.map((_, index) => parts.slice(0, parts.length - index).join('/')), ''];
}

/** Folders below `folder` that hold one of the named files, the shallowest first. */
export function partsBelow(paths: readonly string[], folder: string, names: ReadonlySet<string>): string[] {
  const prefix = folder === '' ? '' : `${folder}/`;
  const found = new Set<string>();
  for (const path of paths) {
    if (!path.startsWith(prefix) || !names.has(posix.basename(path))) continue;
    const inner = path.slice(prefix.length).split('/').slice(0, -1);
    if (inner.length === 0 || inner.length > deepest || inner.some((part) => notParts.test(part))) continue;
    found.add(posix.dirname(path));
  }
  return [...found].sort((a, b) => a.split('/').length - b.split('/').length || (a < b ? -1 : 1));
}

function quote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) && !path.startsWith('-')
    ? path
    : `'./${path.replaceAll("'", `'\\''`)}'`;
}
