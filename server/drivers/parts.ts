import type { ForgeSettings } from '../../contract/forges.ts';
import type { LiveText } from '../../contract/system.ts';
import type { Clock } from '../clock.ts';
import type { Sandbox } from '../computers/sandbox.ts';
import type { CleanRoom } from '../computers/workspaces/clean-room.ts';
import type { Git } from '../computers/workspaces/git.ts';
import type { PreparedSetups } from '../computers/workspaces/prepared-setup.ts';
import type { Repositories } from '../computers/workspaces/repositories.ts';
import type { RepositoryContent, Signature } from '../computers/workspaces/repository-content.ts';
import type { Services } from '../computers/workspaces/services.ts';
import type { Workspaces } from '../computers/workspaces/workspace.ts';
import type { CrashPoints } from '../crash-points.ts';
import type { Database } from '../database/database.ts';
import type { Artifacts } from '../domain/artifacts/artifacts.ts';
import type { Pace } from '../domain/credentials/pace.ts';
import type { Models } from '../models/model.ts';
import type { Tool } from '../tools/tool.ts';
import type { Egress } from './egress.ts';

/** What the drivers of runs are made of. */
export interface DriverParts {
  database: Database;
  clock: Clock;
  crashPoints: CrashPoints;
  models: Models;
  pace: Pace;
  tools: readonly Tool[];
  artifacts: Artifacts;
  /** The way out of runs' commands. */
  egress: Egress;
  computer: Computer;
  /** Text as a model writes it, for those who watch. */
  live: { write(live: LiveText): void; flush(): Promise<void> };
  settings: DriverSettings;
}

/** Where a run's files are and its commands run. */
export interface Computer {
  sandbox: Sandbox;
  git: Git;
  repositories: Repositories;
  content: RepositoryContent;
  workspaces: Workspaces;
  setups: PreparedSetups;
  cleanRoom: CleanRoom;
  services: Services;
  /** A folder of the host for output on its way to becoming an artifact. */
  temporaryFolder: string;
  /** The gate's folder of a run, for checks. */
  gateFolder(runId: string): string;
}

export interface DriverSettings {
  /** How long an ask stays open before its default holds. */
  askDeadlineMs: number;
  checkTimeoutMs: number;
  /** What all runs together may spend in a day, in millionths of a US dollar. */
  dayLimitMicros: number;
  /** Deliveries that may come back red before a person is asked. */
  redRounds: number;
  /** Who answers what the agents ask. */
  owner: string;
  /** Where changes are pushed, and with what tokens. */
  forges: ForgeSettings;
  /** The host's file of the SSH key that deliveries are signed with; null where they are not. */
  signingKey: string | null;
  /** The commits' author. */
  identity: Signature;
}
