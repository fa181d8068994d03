import { isDeepStrictEqual } from 'node:util';

type Manifest = Record<string, unknown>;

/** What decides how scripts and tests run; everything else in a package.json is the change's own. */
const checkKeys = (
  'scripts jest vitest mocha ava c8 nyc tap tape jasmine karma cypress playwright babel wireit nx turbo ' +
  'config overrides resolutions pnpm packageManager workspaces volta'
).split(' ');

const dependencyKeys = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'];

/** A dependency's name that is part of running checks: exchanging it could exchange the verdict. */
const checkTool =
  /^(@jest\/.*|@vitest\/.*|@playwright\/.*|@babel\/.*|jest.*|ts-jest|vitest|mocha|ava|tap|tape|jasmine|karma|cypress|playwright|chai|c8|nyc|tsx|ts-node|esbuild.*|typescript|cross-env|npm-run-all2?|wireit|sinon|uvu|node-tap)$/;

/**
 * The change's package.json with all that decides about checks as it was in the base. null where the change
 * leaves that as it was, as when it only adds a dependency.
 */
export function pinPackageJson(base: string, head: string): string | null {
  const before = parseManifest(base);
  const after = parseManifest(head);
  if (!before) return base === head ? null : base;
  if (!after) return base;
  const keys = checkKeys.filter((key) => !isDeepStrictEqual(before[key], after[key]));
  if (keys.length === 0 && !exchangesCheckTool(before, after)) return null;
  const pinned: Manifest = { ...after };
  for (const key of keys) {
    if (key in before) pinned[key] = before[key];
    else delete pinned[key];
  }
  return `${JSON.stringify(pinned, null, 2)}\n`;
}

/**
 * What check commands such as `npm test` run in a package.json: the named scripts, those around them, and those
 * that they run in their turn.
 */
export function checkScripts(packageJson: string | null, checkCommands: string[]): string {
  const scripts = parseManifest(packageJson ?? '')?.scripts;
  if (!isManifest(scripts)) return '';
  const reached = new Set<string>();
  const waiting = [...checkCommands];
  for (let line = waiting.pop(); line !== undefined; line = waiting.pop()) {
    const words = line.split(/[\s"';&|()]+/);
    for (const name of words.flatMap((word) => [word, `pre${word}`, `post${word}`])) {
      const script = scripts[name];
      if (typeof script !== 'string' || !Object.hasOwn(scripts, name) || reached.has(name)) continue;
      reached.add(name);
      waiting.push(script);
    }
  }
  return [...reached].map((name) => String(scripts[name])).join('\n');
}

function exchangesCheckTool(before: Manifest, after: Manifest): boolean {
  return dependencyKeys.some((key) => {
    const old = before[key];
    const now = after[key];
    const names = isManifest(old) ? Object.keys(old).filter((name) => checkTool.test(name)) : [];
    return names.some((name) => isManifest(old) && old[name] !== (isManifest(now) ? now[name] : undefined));
  });
}

function parseManifest(text: string): Manifest | null {
  try {
    const value: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
    return isManifest(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function isManifest(value: unknown): value is Manifest {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
