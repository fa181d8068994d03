import { createHash } from 'node:crypto';

/** How a project is made ready to run its checks. */
export interface DiscoveredSetup {
  /** Lines for `sh -c`, in order; none where the project needs nothing. */
  commands: string[];
  /** The files of the repository's root that decide the result. */
  lockfiles: string[];
}

/** @returns the text of a file of the repository's root, null where there is none */
export type RootReader = (name: string) => Promise<string | null>;

/** What a folder's files ask for, by language; null for what it has nothing of. */
export function discoverParts(read: RootReader): Promise<(DiscoveredSetup | null)[]> {
  return Promise.all([discoverNode(read), discoverPython(read), discoverGo(read), discoverRust(read)]);
}

/** What the root's files ask for: one package manager per language. Sub-folders are not looked into. */
export async function discoverSetup(read: RootReader): Promise<DiscoveredSetup> {
  const found = (await discoverParts(read)).filter((part) => part !== null);
  return {
    commands: found.flatMap((part) => part.commands),
    lockfiles: found.flatMap((part) => part.lockfiles),
  };
}

/**
 * The name of a prepared set-up: 16 hex digits. The same commands on the same lockfiles for the same Node and
 * processor give the same result, so it is prepared once.
 * @param request.repository the key of the copy: an install script of the project itself may have a say
 */
export function setupKey(request: {
  repository: string;
  commands: string[];
  lockfiles: { path: string; content: string | Uint8Array }[];
  nodeVersion: string;
  architecture: string;
}): string {
  const { repository, commands, lockfiles, nodeVersion, architecture } = request;
  const contents = lockfiles
    .map(({ path, content }) => [path, createHash('sha256').update(content).digest('hex')])
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  const whole = JSON.stringify([1, repository, commands, contents, nodeVersion, architecture]);
  return createHash('sha256').update(whole).digest('hex').slice(0, 16);
}

async function discoverNode(read: RootReader): Promise<DiscoveredSetup | null> {
  const manifest = await read('package.json');
  if (manifest === null) return null;
  for (const lock of ['package-lock.json', 'npm-shrinkwrap.json']) {
    if ((await read(lock)) !== null) {
      return { commands: ['npm ci --no-audit --no-fund'], lockfiles: ['package.json', lock] };
    }
  }
  if ((await read('pnpm-lock.yaml')) !== null) {
    const pnpm = pinned(manifest, 'pnpm') ?? 'pnpm';
    return {
      commands: [`npx --yes ${pnpm} install --frozen-lockfile`],
      lockfiles: ['package.json', 'pnpm-lock.yaml'],
    };
  }
  const yarnLock = await read('yarn.lock');
  if (yarnLock !== null) {
    const modern = yarnLock.includes('__metadata:');
    const command = modern
      ? 'npx --yes @yarnpkg/cli-dist install --immutable'
      : `npx --yes ${pinned(manifest, 'yarn') ?? 'yarn@1'} install --frozen-lockfile`;
    return { commands: [command], lockfiles: ['package.json', 'yarn.lock'] };
  }
  if (!/"(dev|optional)?[dD]ependencies"\s*:\s*\{\s*"/.test(manifest)) return null;
  return { commands: ['npm install --no-package-lock --no-audit --no-fund'], lockfiles: ['package.json'] };
}

/** `"packageManager": "pnpm@9.1.0+sha512…"` as `pnpm@9.1.0`. */
function pinned(manifest: string, manager: string): string | null {
  const found = manifest.match(new RegExp(`"packageManager"\\s*:\\s*"(${manager}@\\d+\\.\\d+\\.\\d+)[^"]*"`));
  return found?.[1] ?? null;
}

async function discoverPython(read: RootReader): Promise<DiscoveredSetup | null> {
  const venv = 'python3 -m venv .venv';
  const project = await read('pyproject.toml');
  if (project !== null && (await read('uv.lock')) !== null) {
    const commands = [venv, '.venv/bin/pip install uv', '.venv/bin/uv sync --frozen'];
    return { commands, lockfiles: ['pyproject.toml', 'uv.lock'] };
  }
  if (project !== null && (await read('poetry.lock')) !== null) {
    const commands = [
      venv,
      'python3 -m venv "$HOME/poetry"',
      '"$HOME/poetry/bin/pip" install poetry',
      'VIRTUAL_ENV="$PWD/.venv" PATH="$PWD/.venv/bin:$PATH" "$HOME/poetry/bin/poetry" install --no-interaction',
    ];
    return { commands, lockfiles: ['pyproject.toml', 'poetry.lock'] };
  }
  if ((await read('requirements.txt')) !== null) {
    const more = (await read('requirements-dev.txt')) === null ? [] : ['requirements-dev.txt'];
    const files = ['requirements.txt', ...more];
    return {
      commands: [venv, `.venv/bin/pip install ${files.map((file) => `-r ${file}`).join(' ')}`],
      lockfiles: files,
    };
  }
  if (project === null || !/^\[(project|build-system)\]/m.test(project)) return null;
  return { commands: [venv, '.venv/bin/pip install -e .'], lockfiles: ['pyproject.toml'] };
}

async function discoverGo(read: RootReader): Promise<DiscoveredSetup | null> {
  if ((await read('go.sum')) === null) return null;
  return { commands: ['go mod download'], lockfiles: ['go.mod', 'go.sum'] };
}

async function discoverRust(read: RootReader): Promise<DiscoveredSetup | null> {
  if ((await read('Cargo.lock')) === null) return null;
  return { commands: ['cargo fetch --locked'], lockfiles: ['Cargo.toml', 'Cargo.lock'] };
}
