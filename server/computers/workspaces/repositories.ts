import { join } from 'node:path';
import {
  type Delivery,
  type DeliveryResult,
  deliver,
  publishBranch,
  readTarget,
  type TargetState,
} from './delivery.ts';
import type { Git } from './git.ts';
import { bringLfs } from './lfs.ts';
import { type MergeRequest, type MergeResult, merge } from './merge.ts';
import { openRepositoryContent, type RepositoryContent } from './repository-content.ts';
import { type Fetched, fetchSource, type RepositoryHandle } from './source-copy.ts';
import { bringSubmodules } from './submodules.ts';

export type { Fetched, RepositoryHandle } from './source-copy.ts';

/** All that the control plane does with repositories. Each is told in full where it is made. */
export interface Repositories extends RepositoryContent {
  fetch(request: { location: string; branch?: string | undefined }, signal: AbortSignal): Promise<Fetched>;
  merge(repository: RepositoryHandle, request: MergeRequest, signal: AbortSignal): Promise<MergeResult>;
  readTarget(location: string, branch: string, signal: AbortSignal): Promise<TargetState>;
  deliver(repository: RepositoryHandle, delivery: Delivery, signal: AbortSignal): Promise<DeliveryResult>;
  publishBranch(
    repository: RepositoryHandle,
    request: Parameters<typeof publishBranch>[2],
    signal: AbortSignal,
  ): Promise<DeliveryResult>;
}

/** @param home MISSION_HOME; the copies are in its `repositories` */
export function openRepositories(home: string, git: Git): Repositories {
  return {
    ...openRepositoryContent(git),
    async fetch(request, signal) {
      const fetched = await fetchSource(git, join(home, 'repositories'), request, signal);
      const { repository, commit, source } = fetched;
      const warnings = await bringSubmodules(git, repository, source, commit, signal);
      await bringLfs(git, repository, source, commit, signal);
      return { ...fetched, warnings: [...fetched.warnings, ...warnings] };
    },
    merge: (...args) => merge(git, ...args),
    readTarget: (...args) => readTarget(git, ...args),
    deliver: (...args) => deliver(git, ...args),
    publishBranch: (...args) => publishBranch(git, ...args),
  };
}
