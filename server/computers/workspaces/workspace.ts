import { readFile, rename, writeFile } from 'node:fs/promises';
import { isAbsolute, join, posix } from 'node:path';
import { AppError } from '../../errors.ts';
import { takeOver } from '../gate.ts';
import type { Command, CommandResult, Gate, Limits, Mount, NetworkSession, Sandbox } from '../sandbox.ts';
import { checkOut, type WorkStart } from './checkout.ts';
import { type CheckoutFolders, checkoutMounts, workspaceTarget } from './checkout-folders.ts';
import { type ExportedCommit, exportCommit } from './export-commit.ts';
import { isMissing, makeFolder, removeTree } from './folders.ts';
import {
  expectSuccess,
  type Git,
  gitConfigMount,
  gitEnvironment,
  isBranchName,
  requireObjectId,
  splitNul,
} from './git.ts';
import { exportLfs, lfsMounts } from './lfs.ts';
import type { PreparedSetup } from './prepared-setup.ts';
import type { Signature } from './repository-content.ts';
import { placeServices, type ServiceName, type Services } from './services.ts';
import { setupMounts } from './setup-mounts.ts';
import { openSnapshots, type Snapshots } from './snapshots.ts';
import type { RepositoryHandle } from './source-copy.ts';
import { openWorkspaceFiles, type WorkspaceFiles } from './workspace-files.ts';

export interface WorkspaceCommand {
  argv: string[];
  /** Relative to the workspace; its root where it is not given. */
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string | Uint8Array;
  limits?: Partial<Limits>;
  outputFile?: string;
  onOutput?: (chunk: Uint8Array) => void;
  /** True for the network that the workspace was opened with; none otherwise. */
  network?: boolean;
}

export interface Head {
  /** null before the first commit. */
  commit: string | null;
  /** null when detached. */
  branch: string | null;
  clean: boolean;
  /** As `git status --short` says it. */
  status: string;
}

/** One run's computer: its files, its repository, its commands. Every start passes the run's gate. */
export interface Workspace {
  readonly runId: string;
  readonly base: string;
  readonly files: WorkspaceFiles;
  /** What commands get beside the sandbox's own variables. */
  readonly environment: Readonly<Record<string, string>>;
  /** @throws AppError `invalid_request` for a folder outside; what `Sandbox.run` throws */
  run(command: WorkspaceCommand, signal: AbortSignal): Promise<CommandResult>;
  snapshot(signal: AbortSignal): Promise<string>;
  restore(snapshot: string, signal: AbortSignal): Promise<void>;
  /** @throws AppError `unprocessable` where the commit is missing, unsound or not on top of the base */
  exportCommit(commit: string, signal: AbortSignal): Promise<ExportedCommit>;
  head(signal: AbortSignal): Promise<Head>;
}

export interface WorkspaceRequest {
  repository: RepositoryHandle;
  setup?: PreparedSetup | undefined;
  /** Files that were given with the task, read-only and outside the work tree. */
  attachments?: Mount[] | undefined;
  /** Started only for commands that are given to `/mission/with-services`. */
  services?: readonly ServiceName[] | undefined;
  /** Asked for each command that wants the network. */
  network?: (() => Promise<NetworkSession | 'none'>) | undefined;
}

export interface NewWorkspaceRequest extends WorkspaceRequest {
  /** The base: what is delivered must stand on it. */
  commit: string;
  start?: WorkStart | undefined;
  branch: `mission/${string}`;
  identity: Signature;
}

export interface Workspaces {
  /** Begins anew whatever a killed earlier attempt left. @throws GateClosed for an older token */
  create(runId: string, token: string, request: NewWorkspaceRequest, signal: AbortSignal): Promise<Workspace>;
  /** @throws AppError `not_found` where `create` never came to its end; GateClosed for an older token */
  open(runId: string, token: string, request: WorkspaceRequest, signal: AbortSignal): Promise<Workspace>;
  /** For a run that has ended: nothing of it may be under way. */
  remove(runId: string): Promise<void>;
}

interface WorkspaceParts {
  home: string;
  sandbox: Sandbox;
  git: Git;
  services?: Services;
}

const takeOverLimitMs = 15_000;

/** @param home MISSION_HOME; workspaces are in its `runs` */
export function openWorkspaces(parts: WorkspaceParts): Workspaces {
  const { home, sandbox, git } = parts;
  const runs = join(home, 'runs');
  const folderOf = (runId: string) => {
    if (!/^[\w-]{1,100}$/.test(runId))
      throw new AppError('invalid_request', `${runId} is not a run's identifier`);
    return join(runs, runId);
  };
  return {
    async create(runId, token, request, signal) {
      const place = placeOf(folderOf(runId), token);
      if (!isBranchName(request.branch)) {
        throw new AppError('invalid_request', `${JSON.stringify(request.branch)} cannot be a branch's name`);
      }
      await makeFolder(place.folder);
      await takeOver(place.folder, token, { limitMs: takeOverLimitMs, sandbox });
      for (const path of [place.mark, place.folders.files, place.folders.git, place.store]) {
        await removeTree(sandbox, path, place.gate);
      }
      for (const path of [place.folders.files, place.folders.git, place.store]) await makeFolder(path);
      await makeFolder(join(place.folders.files, '.git'));
      const exclude = request.setup?.paths;
      await checkOut(git, { ...request, exclude, folders: place.folders, gate: place.gate }, signal);
      const workspace = build(parts, runId, place, request, request.commit);
      await workspace.snapshots.create(signal);
      await writeFile(`${place.mark}.new`, JSON.stringify({ base: requireObjectId(request.commit) }));
      await rename(`${place.mark}.new`, place.mark);
      return workspace.workspace;
    },
    async open(runId, token, request) {
      const place = placeOf(folderOf(runId), token);
      const base = await readBase(place.mark);
      if (base === null) throw new AppError('not_found', `${runId} has no workspace`);
      await takeOver(place.folder, token, { limitMs: takeOverLimitMs, sandbox });
      return build(parts, runId, place, request, base).workspace;
    },
    remove: (runId) => removeTree(sandbox, folderOf(runId)),
  };
}

interface Place {
  folder: string;
  folders: CheckoutFolders;
  store: string;
  /** Written last by `create`. */
  mark: string;
  gate: Gate;
}

function placeOf(folder: string, token: string): Place {
  return {
    folder,
    folders: { files: join(folder, 'files'), git: join(folder, 'git') },
    store: join(folder, 'snapshots.git'),
    mark: join(folder, 'workspace.json'),
    gate: { folder, token },
  };
}

async function readBase(mark: string): Promise<string | null> {
  try {
    const read: unknown = JSON.parse(await readFile(mark, 'utf8'));
    const base = read !== null && typeof read === 'object' && 'base' in read ? read.base : null;
    return typeof base === 'string' ? requireObjectId(base) : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function build(
  parts: WorkspaceParts,
  runId: string,
  place: Place,
  request: WorkspaceRequest,
  base: string,
): { workspace: Workspace; snapshots: Snapshots } {
  const { sandbox, git } = parts;
  const { folders, gate } = place;
  const { repository, setup, attachments = [], services = [] } = request;
  const beside = parts.services ? placeServices(parts.services, services) : { mounts: [], env: {} };
  const snapshots = openSnapshots(git, { folders, store: place.store, gate });
  const oneAtATime = serialise();
  const environment = { ...gitEnvironment, ...beside.env };

  const run = async (command: WorkspaceCommand, signal: AbortSignal): Promise<CommandResult> => {
    const { cwd = '.', env, argv, network = false, ...rest } = command;
    const start = folderInside(cwd);
    const prepared = await setupMounts(git, setup, { folders, gate }, signal);
    const inside: Command = {
      ...rest,
      // A folder that is missing is the command's failure, with the shell's own words.
      argv:
        start === workspaceTarget
          ? argv
          : ['sh', '-c', 'cd -- "$1" && shift && exec "$@"', 'sh', start, ...argv],
      cwd: workspaceTarget,
      mounts: [
        ...checkoutMounts(folders),
        gitConfigMount(git.configFile),
        ...prepared.mounts,
        ...attachments,
        ...beside.mounts,
        ...(await lfsMounts(repository)),
      ],
      scratch: prepared.scratch,
      env: { ...environment, ...env },
      network: network ? ((await request.network?.()) ?? 'none') : 'none',
      gate,
    };
    return sandbox.run(inside, signal);
  };
  const files = openWorkspaceFiles((script, args, { stdin, timeoutMs }, signal) =>
    run(
      {
        argv: ['sh', '-euc', script, 'sh', ...args],
        limits: { timeoutMs },
        ...(stdin === undefined ? {} : { stdin }),
      },
      signal,
    ),
  );
  const workspace: Workspace = {
    runId,
    base,
    files,
    environment,
    run,
    snapshot: (signal) => oneAtATime(() => snapshots.take(signal)),
    restore: (snapshot, signal) => oneAtATime(() => snapshots.restore(snapshot, signal)),
    async exportCommit(commit, signal) {
      const request = { runId, agentGit: folders.git, repository, base, commit, gate };
      const exported = await exportCommit(parts, request, signal);
      await exportLfs(git, repository, request, signal);
      return exported;
    },
    head: (signal) => readHead(git, place, signal),
  };
  return { workspace, snapshots };
}

async function readHead(git: Git, place: Place, signal: AbortSignal): Promise<Head> {
  const script = `
git rev-parse -q --verify 'HEAD^{commit}' || echo
git symbolic-ref -q --short HEAD || echo
git status --porcelain -z --untracked-files=normal --ignore-submodules=all
# Submodules by git's own commands under our configuration: status itself would run them under the agent's.
git ls-files -s -z | grep -z '^160000 ' | xargs -0 -r sh -c 'for entry do
  path=\${entry#*	}
  wanted=\${entry#160000 }
  if [ ! -e "$path/.git" ]; then continue; fi
  if [ "$(git -C "./$path" rev-parse HEAD)" != "\${wanted%% *}" ]; then printf " M %s (a submodule, at another commit)\\0" "$path"; continue; fi
  if [ -n "$(git -C "./$path" status --porcelain --untracked-files=no --ignore-submodules=all)" ]; then printf " M %s (a submodule, with changes in it)\\0" "$path"; fi
done' sh`;
  const options = {
    cwd: workspaceTarget,
    mounts: checkoutMounts(place.folders, 'read'),
    // Reading must not refresh the index: that would be another state.
    env: { GIT_OPTIONAL_LOCKS: '0' },
    gate: place.gate,
    limits: { timeoutMs: 120_000 },
  };
  const output = expectSuccess(await git.script(script, [], options, signal), "reading the workspace's HEAD");
  const [commit = '', branch = ''] = output.toString('utf8').split('\n', 2);
  const status = splitNul(output.subarray(Buffer.byteLength(`${commit}\n${branch}\n`))).join('\n');
  return { commit: commit || null, branch: branch || null, clean: status === '', status };
}

function folderInside(cwd: string): string {
  const path = posix
    .normalize(isAbsolute(cwd) ? cwd : posix.join(workspaceTarget, cwd))
    .replace(/(.)\/$/, '$1');
  if (path === workspaceTarget || path.startsWith(`${workspaceTarget}/`)) return path;
  throw new AppError('invalid_request', `${cwd} is outside the workspace`);
}

/** The store's index has one writer at a time. */
function serialise(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (act) => {
    const mine = last.then(act);
    last = mine.catch(() => undefined);
    return mine;
  };
}
