import { homedir } from 'node:os';
import { join } from 'node:path';
import { openLocalSandbox } from '../computers/local-sandbox.ts';
import type { Sandbox } from '../computers/sandbox.ts';
import { openUnsafeSandbox } from '../computers/unsafe-sandbox.ts';
import { openCleanRoom } from '../computers/workspaces/clean-room.ts';
import { openGit } from '../computers/workspaces/git.ts';
import { openPreparedSetups } from '../computers/workspaces/prepared-setup.ts';
import { openRepositories } from '../computers/workspaces/repositories.ts';
import { openRepositoryContent } from '../computers/workspaces/repository-content.ts';
import { openServices } from '../computers/workspaces/services.ts';
import { openWorkspaces } from '../computers/workspaces/workspace.ts';
import type { Config } from '../config.ts';
import type { CrashPoints } from '../crash-points.ts';
import { findBundledPostgres } from '../database/embedded-binaries.ts';
import type { Computer } from '../drivers/parts.ts';
import type { Base } from './base.ts';

export async function openSandbox(
  config: Config,
  base: Base & { crashPoints: CrashPoints },
): Promise<Sandbox> {
  if (!config.unsafeNoSandbox) {
    const options = { ...base, runtimeFolder: join(config.home, 'runtime') };
    if (config.sandbox.driver !== 'container') return base.started.use(await openLocalSandbox(options));
    // The engine's client takes long to load and much memory.
    const { openContainerSandbox } = await import('../computers/container/container-sandbox.ts');
    return base.started.use(await openContainerSandbox({ ...options, settings: config.sandbox }));
  }
  base.log.warn('commands run WITHOUT a sandbox (--unsafe-no-sandbox): agents can do whatever this user can');
  return openUnsafeSandbox(base);
}

export async function openComputer(config: Config, sandbox: Sandbox): Promise<Computer> {
  const { home } = config;
  const git = await openGit(home, sandbox, { sshFolder: join(homedir(), '.ssh') });
  const bundledPostgres = await findBundledPostgres(join(home, 'runtime', 'postgresql-links'));
  const services = await openServices(home, { bundledPostgres });
  const parts = { home, sandbox, git, services };
  return {
    sandbox,
    git,
    repositories: openRepositories(home, git),
    content: openRepositoryContent(git),
    workspaces: openWorkspaces(parts),
    setups: openPreparedSetups(parts),
    cleanRoom: await openCleanRoom(parts),
    services,
    temporaryFolder: join(home, 'temporary'),
    gateFolder: (runId) => join(home, 'runs', runId),
  };
}
