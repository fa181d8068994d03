import { posix } from 'node:path';
import type { FileChange } from '../../../contract/changes.ts';
import { foldersNamedIn } from './check-folders.ts';

export interface PathChange {
  path: string;
  status: FileChange['status'];
  /** Where a renamed or copied file was before. */
  previousPath?: string;
}

export interface PinnedPaths {
  /** Tests of the base that the change touches. */
  tests: string[];
  /** Files that decide how, or whether, tests run; added ones as well. */
  configuration: string[];
}

const testPatterns = [
  /(^|\/)(tests?|__tests__|specs?|e2e|testdata|fixtures|__snapshots__)\//,
  /[.-](test|spec)\.[^/]+$/,
  /(^|\/)(test|tests|spec)\.[^/]+$/,
  /_(test|spec)\.[^/]+$/,
  /(^|\/)test_[^/]*\.py$/,
  /\.snap$/,
];

const configurationPatterns = [
  /(^|\/)(package\.json|\.npmrc|\.pnpmrc|\.yarnrc|\.yarnrc\.yml|pnpm-workspace\.yaml|\.pnpmfile\.c?js|\.node-version|\.nvmrc)$/,
  /(^|\/)(vitest|vite|jest|mocha|ava|playwright|cypress|karma|wtr|web-test-runner|babel)\.(config|conf|workspace|setup)[\w.-]*$/,
  /(^|\/)(node_modules|__mocks__)\//,
  /(^|\/)(vitest|jest)[\w.-]*\.(config|setup|workspace)\.[^/]+$/,
  /(^|\/)\.(mocharc|taprc|nycrc|c8rc|babelrc|swcrc|env)[\w.-]*$/,
  /(^|\/)[jt]sconfig[\w.-]*\.json$/,
  /(^|\/)(bunfig|deno)\.[^/]+$/,
  /(^|\/)(pytest\.ini|\.pytest\.ini|pytest\.toml|tox\.ini|setup\.cfg|setup\.py|pyproject\.toml|conftest\.py|noxfile\.py|\.coveragerc|sitecustomize\.py|usercustomize\.py)$/,
  /(^|\/)[^/]+\.pth$/,
  /(^|\/)(GNUmakefile|[Mm]akefile|[^/]+\.mk|[Jj]ustfile|\.justfile|Taskfile\.ya?ml|Rakefile)$/,
  /(^|\/)(Cargo\.toml|build\.rs|rust-toolchain(\.toml)?|nextest\.toml)$|(^|\/)\.(cargo|config)\//,
  /(^|\/)(go\.work|\.golangci\.ya?ml)$/,
];

/** Whether a path looks like a test. Tests within a source file, as Rust has them, cannot be seen so. */
function isTestPath(path: string): boolean {
  return testPatterns.some((pattern) => pattern.test(path));
}

/**
 * Which changed paths the checks depend on. A test of the base counts whether it is changed, deleted or moved; a
 * new test does not. Configuration counts in every way, added too: a new vitest.config.ts or .npmrc can
 * switch tests off. A move is told by `previousPath`, or as a deletion and an addition.
 */
export function pinnedPaths(input: {
  basePaths: string[];
  changedPaths: PathChange[];
  checkCommands: string[];
  /** What the check commands run in the base, such as `checkScripts` gives; files named there are pinned. */
  scriptsText: string;
}): PinnedPaths {
  const base = new Set(input.basePaths);
  const words = pathsNamedIn([...input.checkCommands, input.scriptsText].join('\n'));
  const folders = foldersNamedIn(input.checkCommands);
  const named = new Set([
    ...words,
    ...folders.flatMap((folder) => [...words].map((word) => posix.join(folder, word))),
  ]);
  const tests = new Set<string>();
  const configuration = new Set<string>();
  for (const path of touched(input.changedPaths)) {
    if (isConfiguration(path, named)) configuration.add(path);
    else if (base.has(path) && isTestPath(path)) tests.add(path);
  }
  return { tests: [...tests].sort(), configuration: [...configuration].sort() };
}

/** A move touches the place that the file left. */
function touched(changes: PathChange[]): string[] {
  return changes.flatMap(({ path, previousPath, status }) =>
    previousPath !== undefined && status !== 'copied' ? [path, previousPath] : [path],
  );
}

function isConfiguration(path: string, named: Set<string>): boolean {
  return named.has(path) || configurationPatterns.some((pattern) => pattern.test(path));
}

/** Words of command lines that could name a file: `node scripts/test.js`, `./run-tests`, `--config=ci/jest.json`. */
function pathsNamedIn(text: string): Set<string> {
  const words = text
    .split(/[\s"'`;&|()<>=,{}]+/)
    .map((word) => word.replace(/\\+$/, '').replace(/^(\.\/)+/, ''));
  const paths = words.filter((word) => word !== '' && !word.startsWith('-'));
  const withExtensions = paths.flatMap((path) => [
    path,
    ...['js', 'mjs', 'cjs', 'ts', 'mts', 'cts', 'json', 'py', 'sh'].map(
      (extension) => `${path}.${extension}`,
    ),
    ...['js', 'mjs', 'cjs', 'ts'].map((extension) => `${path.replace(/\/$/, '')}/index.${extension}`),
  ]);
  return new Set(withExtensions);
}
