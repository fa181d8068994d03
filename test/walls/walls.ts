import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { type Import, readImports } from './imports.ts';

/** A part of the house: what it may import, and of what it may import types alone. */
interface Wall {
  imports: string[];
  types?: string[];
  /** Packages; any where it is not given. */
  packages?: string[];
}

/** Files at the top of server/ that are open to all of it. */
const open = [
  'addresses',
  'clock',
  'crash-points',
  'errors',
  'ids',
  'log',
  'redaction',
  'signal',
  'trace-context',
].map((name) => `server/${name}.ts`);
const ends = ['server/app.ts', 'server/main.ts', 'server/restore.ts'];
/** What app.ts is cut into: the constructing of one part each. */
const assembly = 'server/assembly/';
const durable = ['server/database', 'server/events', 'server/runs', 'server/jobs'];

export const walls: Record<string, Wall> = {
  contract: { imports: [], packages: ['zod'] },
  'server/open': { imports: ['contract'] },
  'server/config': { imports: ['contract'] },
  'server/database': { imports: [] },
  'server/events': { imports: ['server/database', 'contract'] },
  // A mutation and its event are one transaction, so what is durable appends to the log itself.
  'server/runs': { imports: ['server/database', 'server/events', 'contract'] },
  'server/backup': { imports: ['server/database', 'server/events', 'contract'] },
  'server/jobs': { imports: ['server/database', 'server/events', 'contract'] },
  'server/models': { imports: ['contract'] },
  'server/computers': { imports: ['contract'] },
  // The two ports that the loop speaks to; of what stands behind them it knows nothing.
  'server/agent': { imports: ['contract', 'server/models/model.ts', 'server/tools/tool.ts'] },
  'server/tools': { imports: ['server/domain', 'server/computers', 'contract'] },
  'server/domain': { imports: [...durable, 'contract'] },
  'server/drivers': {
    imports: ['server/agent', 'server/domain', 'server/tools', 'server/computers', ...durable, 'contract'],
    types: ['server/models'],
  },
  // What is measured and traced is decorated from outside; nothing that it watches knows of it.
  'server/telemetry': {
    imports: ['server/database', 'contract'],
    types: ['server/events', 'server/runs', 'server/computers', 'server/models', 'server/tools'],
  },
  'server/http': {
    imports: ['server/domain', 'server/events', 'contract'],
    types: ['server/database', 'server/telemetry'],
  },
  'server/mcp': { imports: ['server/domain', 'server/events', 'contract'], types: ['server/database'] },
  'server/channels': { imports: ['server/domain', 'server/events', 'contract'], types: ['server/database'] },
  // Published by itself, for browsers and for Node.
  client: { imports: ['contract'], packages: ['zod'] },
  web: { imports: ['contract', 'client'] },
  cli: { imports: ['contract', 'client'] },
};

export const mostLines = 400;
const roots = ['contract', 'client', 'server', 'web', 'cli', 'scripts', 'bench', 'test', 'bin'];
const sourceFile = /\.(m|c)?tsx?$/;
const ignored = new Set(['node_modules', 'dist', '.git']);

/**
 * Every import that breaks through a wall and every file that is too long, each as one line that says what to
 * do. Imports point down: see ARCHITECTURE.md.
 * @throws Error where it saw no module, since then it proves nothing
 */
export function findViolations(root: string): { modules: number; violations: string[] } {
  const files = roots.flatMap((folder) => listFiles(root, folder)).filter((path) => sourceFile.test(path));
  if (files.length === 0) throw new Error(`no module was seen under ${root}: the walls are not checked`);
  const violations = files.flatMap((path) => {
    const source = readFileSync(join(root, path), 'utf8');
    return [...judgeLength(path, source), ...judgePlace(path), ...judgeImports(path, readImports(source))];
  });
  return { modules: files.length, violations };
}

function judgeLength(path: string, source: string): string[] {
  const lines = source.split('\n').length - 1;
  return lines > mostLines
    ? [`${path}: ${lines} lines, at most ${mostLines}: cut it where an idea ends`]
    : [];
}

function isEnd(path: string): boolean {
  return ends.includes(path) || path.startsWith(assembly);
}

function judgePlace(path: string): string[] {
  const part = partOf(path);
  const known = !path.startsWith('server/') || isEnd(path) || isTestCode(path) || part in walls;
  return known ? [] : [`${path}: ${part} is no part of the server; give it a wall in test/walls/walls.ts`];
}

function judgeImports(path: string, imports: Import[]): string[] {
  if (isTestCode(path)) return [];
  return imports.flatMap((one) => {
    const reason = one.specifier.startsWith('.')
      ? judgeModule(path, posix.join(posix.dirname(path), one.specifier), one.typeOnly)
      : judgePackage(path, one.specifier);
    return reason ? [`${path}:${one.line}: imports ${one.specifier}: ${reason}`] : [];
  });
}

function judgeModule(path: string, target: string, typeOnly: boolean): string | null {
  if (isTestCode(target)) return 'nobody imports test code';
  if (target === 'server/config.ts' && !isEnd(path)) {
    return 'only app.ts, assembly/ and main.ts import config.ts; take what you need as an argument';
  }
  const part = partOf(path);
  const wall = walls[part];
  if (!wall) return null;
  const targetPart = partOf(target);
  if (targetPart === part) return null;
  if (part.startsWith('server/') && open.includes(target)) return null;
  if (wall.imports.includes(targetPart) || wall.imports.includes(target)) return null;
  if (wall.types?.includes(targetPart)) {
    return typeOnly ? null : `${part} may import types alone of ${targetPart}; write "import type"`;
  }
  const all = [...wall.imports, ...(wall.types ?? []).map((name) => `types of ${name}`)];
  return `${part} may import ${all.join(', ') || 'nothing of the rest'}, not ${targetPart}`;
}

function judgePackage(path: string, specifier: string): string | null {
  const part = partOf(path);
  const packages = walls[part]?.packages;
  const allowed = packages?.some((name) => specifier === name || specifier.startsWith(`${name}/`)) ?? true;
  return allowed ? null : `${part} may import the packages ${packages?.join(', ')} alone`;
}

/** `server/domain` for all below it; `server/open` for what is open to the server; else the top folder. */
function partOf(path: string): string {
  if (open.includes(path)) return 'server/open';
  if (path === 'server/config.ts') return 'server/config';
  const [top = '', second = ''] = path.split('/');
  return top === 'server' ? `server/${second}` : top;
}

function isTestCode(path: string): boolean {
  return (
    path.startsWith('test/') ||
    /(^|\/)test-[^/]*$|\.(test|spec)\.\w+$|[-.](fixtures?|testsuite)\.\w+$/.test(path)
  );
}

function listFiles(root: string, folder: string): string[] {
  return listEntries(join(root, folder)).flatMap((entry) => {
    if (ignored.has(entry.name)) return [];
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? listFiles(root, path) : [path];
  });
}

/** A folder that is not there yet holds nothing. */
function listEntries(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
