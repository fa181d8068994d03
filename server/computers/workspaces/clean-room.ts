import { join } from 'node:path';
import type { CheckIntent } from '../../../contract/steps.ts';
import { AppError } from '../../errors.ts';
import type { CommandResult, Gate, Limits, Sandbox } from '../sandbox.ts';
import { checkOut } from './checkout.ts';
import { checkoutMounts, workspaceTarget } from './checkout-folders.ts';
import { excerptCollector } from './excerpt.ts';
import { makeFolder } from './folders.ts';
import { type Git, gitConfigMount, gitEnvironment } from './git.ts';
import type { PreparedSetup } from './prepared-setup.ts';
import { placeServices, type ServiceName, type Services, withServices } from './services.ts';
import { setupMounts } from './setup-mounts.ts';
import type { RepositoryHandle } from './source-copy.ts';
import { sweepTemporaryFolders, withTemporaryFolder } from './temporary-folder.ts';

export interface CheckRequest {
  repository: RepositoryHandle;
  commit: string;
  setup?: PreparedSetup | undefined;
  /** A line for `sh -c`, as the user wrote it. */
  command: string;
  /** Started before the command, and ended with it. */
  services?: readonly ServiceName[];
  limits?: Partial<Limits>;
  /** The whole output, on the host. */
  outputFile?: string;
  /** The lease of the run that the check belongs to. */
  gate?: Gate;
  /** What the commit is to the change, and the step that the check is, for whoever watches. */
  where?: CheckIntent['where'];
  step?: string;
}

export interface CheckResult {
  exitCode: number | null;
  outcome: 'passed' | 'failed' | 'timed_out' | 'out_of_memory';
  /** Of the command alone. */
  durationMs: number;
  /** The beginning and the end of the output, about 8 KB. */
  excerpt: string;
  outputBytes: number;
}

export interface CleanRoom {
  /**
   * Runs one check on exactly `commit`: a fresh clone that has nothing of any agent, no network, and the
   * prepared set-up read-only. What a failing check means is the caller's to say; it is a result here.
   */
  runCheck(
    request: CheckRequest,
    signal: AbortSignal,
    onOutput?: (chunk: Uint8Array) => void,
  ): Promise<CheckResult>;
}

interface RoomParts {
  home: string;
  sandbox: Sandbox;
  git: Git;
  /** Not given where checks can have none. */
  services?: Services;
}

/** Removes what processes that died left behind. @param parts.home MISSION_HOME; clones are in its `clean` */
export async function openCleanRoom(parts: RoomParts): Promise<CleanRoom> {
  await sweepTemporaryFolders(parts);
  return { runCheck: (request, signal, onOutput) => runCheck(parts, request, signal, onOutput) };
}

async function runCheck(
  parts: RoomParts,
  request: CheckRequest,
  signal: AbortSignal,
  onOutput: ((chunk: Uint8Array) => void) | undefined,
): Promise<CheckResult> {
  const { sandbox, git } = parts;
  const { repository, commit, setup, command, limits, outputFile, gate } = request;
  return withTemporaryFolder(parts, async (folder) => {
    const folders = { files: join(folder, 'files'), git: join(folder, 'git') };
    for (const path of [join(folders.files, '.git'), folders.git]) await makeFolder(path);
    const identity = { name: 'Mission Control', email: 'mission@localhost' };
    await checkOut(
      git,
      { repository, commit, branch: null, identity, folders, exclude: setup?.paths, gate },
      signal,
    );
    const prepared = await setupMounts(git, setup, { folders, gate }, signal);
    const { names, place } = servicesOf(parts, request);
    const excerpt = excerptCollector(4096, 4096);
    const result = await sandbox.run(
      {
        argv: [...(names.length > 0 ? [withServices] : []), 'sh', '-c', command],
        cwd: workspaceTarget,
        mounts: [
          ...checkoutMounts(folders),
          gitConfigMount(git.configFile),
          ...prepared.mounts,
          ...place.mounts,
        ],
        scratch: prepared.scratch,
        env: { ...gitEnvironment, ...place.env },
        network: 'none',
        limits: { timeoutMs: 600_000, ...limits },
        ...(gate ? { gate } : {}),
        ...(outputFile === undefined ? {} : { outputFile }),
        onOutput: (chunk) => {
          excerpt.add(chunk);
          onOutput?.(chunk);
        },
      },
      signal,
    );
    return {
      exitCode: result.exitCode,
      outcome: outcomeOf(result),
      durationMs: result.durationMs,
      excerpt: excerpt.text(),
      outputBytes: result.outputBytes,
    };
  });
}

function servicesOf({ services }: RoomParts, { services: names = [] }: CheckRequest) {
  if (services !== undefined) return { names, place: placeServices(services, names) };
  if (names.length > 0) throw new AppError('unprocessable', `${names.join(' and ')} cannot be started here`);
  return { names, place: { mounts: [], env: {} } };
}

function outcomeOf(result: CommandResult): CheckResult['outcome'] {
  if (result.timedOut) return 'timed_out';
  if (result.outOfMemory) return 'out_of_memory';
  return result.exitCode === 0 ? 'passed' : 'failed';
}
