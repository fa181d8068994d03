import { mkdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Limits, Mount, Sandbox } from '../sandbox.ts';
import { checkOut } from './checkout.ts';
import {
  type CheckoutFolders,
  checkoutMounts,
  homeTarget,
  scratchOfModules,
  workspaceTarget,
} from './checkout-folders.ts';
import { excerptCollector } from './excerpt.ts';
import { entriesOf, exists, makeFolder } from './folders.ts';
import { expectSuccess, type Git, gitConfigMount, gitEnvironment, isRepositoryPath } from './git.ts';
import type { RepositoryHandle } from './source-copy.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

/** What a project's set-up made, kept once for each key and shown read-only to every workspace. */
export interface PreparedSetup {
  key: string;
  /** The host's folder. */
  folder: string;
  /** Inside the workspace, such as `node_modules`: the topmost paths that the commands added. */
  paths: string[];
  /** The host's folder of what goes into the home (package caches of Go and Cargo); null where there is none. */
  home: string | null;
  durationMs: number;
  /** All that the commands said. */
  outputFile: string;
}

export interface PrepareRequest {
  repository: RepositoryHandle;
  commit: string;
  commands: string[];
  key: string;
  limits?: Partial<Limits>;
  /** The step that asks for it, for whoever watches. */
  step?: string;
}

export interface PreparedSetups {
  /**
   * Runs the commands in a fresh clone, reaching package registries only, or returns at once what was prepared
   * for this key before. Of two at the same moment, one wins and both use it.
   * @throws AppError `setup_failed` with the last lines of the output and what to do
   */
  prepare(
    request: PrepareRequest,
    signal: AbortSignal,
    onOutput?: (chunk: Uint8Array) => void,
  ): Promise<PreparedSetup>;
  /** null where the key was never prepared. */
  find(key: string): Promise<PreparedSetup | null>;
}

/** Parts of the home that a package manager reads again when it is offline. */
const keptOfHome = ['.cargo', 'go'];
const maxPaths = 100;

/** @param parts.home MISSION_HOME; set-ups are in its `setups` */
export function openPreparedSetups(parts: { home: string; sandbox: Sandbox; git: Git }): PreparedSetups {
  const setups = join(parts.home, 'setups');
  const underWay = new Map<string, Promise<PreparedSetup>>();
  const find = (key: string) => readManifest(folderOf(setups, key), key);
  return {
    find,
    async prepare(request, signal, onOutput) {
      const known = await find(request.key);
      if (known) return known;
      for (let other = underWay.get(request.key); other; other = underWay.get(request.key)) {
        try {
          return await other;
        } catch (error) {
          // That its caller gave up is not our end.
          signal.throwIfAborted();
          if (error instanceof AppError) throw error;
        }
      }
      const mine = prepare(parts, setups, request, signal, onOutput).finally(() =>
        underWay.delete(request.key),
      );
      underWay.set(request.key, mine);
      return mine;
    },
  };
}

async function prepare(
  parts: { home: string; sandbox: Sandbox; git: Git },
  setups: string,
  request: PrepareRequest,
  signal: AbortSignal,
  onOutput: ((chunk: Uint8Array) => void) | undefined,
): Promise<PreparedSetup> {
  const { git, sandbox } = parts;
  const { key } = request;
  return withTemporaryFolder(parts, async (folder) => {
    const folders = { files: join(folder, 'files'), git: join(folder, 'git') };
    const result = join(folder, 'result');
    const home = join(result, 'home');
    for (const path of [join(folders.files, '.git'), folders.git, join(result, 'files')])
      await makeFolder(path);
    for (const name of keptOfHome) await makeFolder(join(home, name));
    const identity = { name: 'Mission Control', email: 'mission@localhost' };
    await checkOut(git, { ...request, branch: null, identity, folders }, signal);
    const mounts: Mount[] = [
      ...checkoutMounts(folders),
      gitConfigMount(git.configFile),
      ...keptOfHome.map(
        (name): Mount => ({ source: join(home, name), target: `${homeTarget}/${name}`, mode: 'write' }),
      ),
    ];
    const excerpt = excerptCollector(0, 4000);
    const ran = await sandbox.run(
      {
        argv: ['sh', '-c', runAll, 'sh', ...request.commands],
        cwd: workspaceTarget,
        mounts,
        env: gitEnvironment,
        limits: { timeoutMs: 1_200_000, ...request.limits },
        network: 'registry',
        outputFile: join(result, 'output.log'),
        onOutput: (chunk) => {
          excerpt.add(chunk);
          onOutput?.(chunk);
        },
      },
      signal,
    );
    if (ran.exitCode !== 0) throw setupFailure(request.commands, ran, excerpt.text());
    const paths = await collect(git, folders, result, signal);
    await writeFile(
      join(result, 'manifest.json'),
      JSON.stringify({ key, commands: request.commands, paths, durationMs: Math.round(ran.durationMs) }),
    );
    await publish(setups, result, key);
    const published = await readManifest(folderOf(setups, key), key);
    if (published) return published;
    throw new AppError('internal', `the set-up ${key} vanished while it was prepared`);
  });
}

const runAll = `
for command do
  printf '$ %s\\n' "$command"
  sh -c "$command" < /dev/null || exit $?
done`;

/** Moves the topmost paths that git does not track out of the work tree. @returns them */
async function collect(
  git: Git,
  folders: CheckoutFolders,
  result: string,
  signal: AbortSignal,
): Promise<string[]> {
  const script = `
git ls-files -z --others --directory --no-empty-directory > /tmp/added
xargs -0 -r sh -euc 'for path do
  path=\${path%/}
  if [ -L "$path" ] || [ ! -d "$path" ] && [ ! -f "$path" ]; then continue; fi
  case "/$path" in */node_modules) if [ -d "$path" ]; then mkdir -p ${scratchOfModules.map((name) => `"$path/${name}"`).join(' ')}; fi ;; esac
  printf "%s\\\\0" "$path"
done' sh < /tmp/added
sync -f .`;
  const options = { cwd: workspaceTarget, mounts: checkoutMounts(folders) };
  const output = expectSuccess(
    await git.script(script, [], options, signal),
    'collecting what the set-up made',
  );
  const paths = output.toString('utf8').split('\0').filter(isRepositoryPath);
  if (paths.length > maxPaths) {
    throw new AppError(
      'setup_failed',
      `the set-up leaves ${paths.length} new files and folders among the project's own (such as ${paths.slice(0, 3).join(', ')}): make it write into one folder, such as node_modules or .venv`,
    );
  }
  for (const path of paths) {
    const target = join(result, 'files', path);
    await mkdir(dirname(target), { recursive: true });
    await rename(join(folders.files, path), target);
  }
  return paths;
}

async function publish(setups: string, result: string, key: string): Promise<void> {
  await makeFolder(setups);
  try {
    await rename(result, folderOf(setups, key));
  } catch (error) {
    // Another process was first.
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

async function readManifest(folder: string, key: string): Promise<PreparedSetup | null> {
  if (!(await exists(join(folder, 'manifest.json')))) return null;
  const read: unknown = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
  if (read === null || typeof read !== 'object' || !('paths' in read) || !Array.isArray(read.paths))
    return null;
  // When it was last used, for whoever clears up what nobody uses.
  const now = new Date();
  await utimes(folder, now, now);
  const home = join(folder, 'home');
  const kept: string[] = [];
  for (const path of await entriesOf(home)) if ((await entriesOf(path)).length > 0) kept.push(path);
  return {
    key,
    folder,
    paths: read.paths.filter((path) => typeof path === 'string'),
    home: kept.length > 0 ? home : null,
    durationMs: 'durationMs' in read && typeof read.durationMs === 'number' ? read.durationMs : 0,
    outputFile: join(folder, 'output.log'),
  };
}

function setupFailure(
  commands: string[],
  ran: { exitCode: number | null; timedOut: boolean; outOfMemory: boolean },
  output: string,
): AppError {
  const how = ran.timedOut
    ? 'took too long'
    : ran.outOfMemory
      ? 'ran out of memory'
      : `ended with exit status ${ran.exitCode}`;
  const lines = output.trim().split('\n').slice(-15).join('\n');
  return new AppError(
    'setup_failed',
    `the set-up (${commands.join('; ')}) ${how}: mend it, or give another with --setup. It has the network of package registries only. Its last lines:\n${lines}`,
    { detail: { exitCode: ran.exitCode, commands } },
  );
}

function folderOf(setups: string, key: string): string {
  if (!/^[0-9a-f]{16}$/.test(key)) throw new AppError('invalid_request', `${key} is not the key of a set-up`);
  return join(setups, key);
}
