import { posix } from 'node:path';
import type { FileChange } from '../../../contract/changes.ts';
import { pinPackageJson } from './package-manifest.ts';
import type { PathChange, PinnedPaths } from './pinned-paths.ts';

type ReadFile = (path: string) => Promise<Buffer | null>;

/**
 * What must be put back in a copy of the change's tree so that its checks run under the base's rules: the bytes
 * of a file, or null for a file to remove. null as a whole where the change leaves the rules alone. Put back by
 * way of git's index, never through the tree's own links.
 */
export async function pinnedOverrides(input: {
  pinned: PinnedPaths;
  readBase: ReadFile;
  readHead: ReadFile;
  /** Where checks run, besides the root: a manifest that is added there would be the one they use. */
  folders?: readonly string[];
}): Promise<Map<string, Buffer | null> | null> {
  const overrides = new Map<string, Buffer | null>();
  const manifests = new Set(
    ['', ...(input.folders ?? [])].map((folder) => posix.join(folder, 'package.json')),
  );
  for (const path of [...input.pinned.tests, ...input.pinned.configuration]) {
    const base = await input.readBase(path);
    const head = await input.readHead(path);
    const override = isManifestPath(path)
      ? overrideManifest(manifests.has(path), base, head)
      : overrideFile(base, head);
    if (override !== undefined) overrides.set(path, override);
  }
  return overrides.size === 0 ? null : overrides;
}

/** What a person must look at, for the receipt: the changes that `overrides` undoes. */
export function pinnedChanges(
  overrides: Map<string, Buffer | null> | null,
  changes: PathChange[],
): { path: string; status: FileChange['status'] }[] {
  const paths = [...(overrides?.keys() ?? [])].sort();
  return paths.map((path) => {
    const change = changes.find((one) => one.path === path);
    return { path, status: change?.status ?? 'renamed' };
  });
}

function overrideFile(base: Buffer | null, head: Buffer | null): Buffer | null | undefined {
  if (base === null) return head === null ? undefined : null;
  return head?.equals(base) ? undefined : base;
}

/** A package of its own that the change adds decides nothing about the checks of the others. */
function overrideManifest(
  decides: boolean,
  base: Buffer | null,
  head: Buffer | null,
): Buffer | null | undefined {
  if (base === null) return decides && head !== null ? null : undefined;
  if (head === null) return base;
  const pinned = pinPackageJson(base.toString('utf8'), head.toString('utf8'));
  return pinned === null ? undefined : Buffer.from(pinned);
}

function isManifestPath(path: string): boolean {
  return path === 'package.json' || path.endsWith('/package.json');
}
