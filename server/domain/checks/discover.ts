import { z } from 'zod';

/** The files at the root of a repository, at one commit. */
export interface RepositoryReader {
  exists(path: string): Promise<boolean>;
  /** null where there is no such file. */
  read(path: string): Promise<string | null>;
  /** The names of the files in a folder; empty where there is none. */
  list?(path: string): Promise<string[]>;
}

export interface DiscoveredChecks {
  /** Shell lines; empty where nothing was found. */
  commands: string[];
  /** Which file each was found by, in a sentence. */
  reason: string;
}

interface Found {
  command: string;
  because: string;
}

/**
 * Finds the checks of a repository by the files at its root. Ecosystems are looked at in this order: Node (pnpm,
 * yarn or npm by lockfile), Python, Go, Rust. Each gives one command. A Makefile's `test`, or `check`, is used
 * only where no ecosystem gave any, since it mostly calls the same.
 */
export async function discoverChecks(reader: RepositoryReader): Promise<DiscoveredChecks> {
  const ecosystems = [
    await findNode(reader),
    await findPython(reader),
    await findGo(reader),
    await findRust(reader),
  ];
  let found = ecosystems.filter((one) => one !== null);
  if (found.length === 0) found = [await findMake(reader)].filter((one) => one !== null);
  if (found.length === 0) {
    const reason =
      'no checks were found: no test script in package.json, no pytest, go.mod, Cargo.toml, and no test or check target in a Makefile';
    return { commands: [], reason };
  }
  return {
    commands: found.map((one) => one.command),
    reason: found.map((one) => `${one.command}: ${one.because}`).join('; '),
  };
}

const packageWithTest = z.looseObject({ scripts: z.looseObject({ test: z.string() }) });

async function findNode(reader: RepositoryReader): Promise<Found | null> {
  const parsed = packageWithTest.safeParse(parseJson(await reader.read('package.json')));
  const script = parsed.success ? parsed.data.scripts.test.trim() : '';
  if (script === '' || /no test specified/i.test(script)) return null;
  const because = 'package.json has a test script';
  if (await reader.exists('pnpm-lock.yaml')) {
    return { command: 'pnpm test', because: `${because}, and there is a pnpm-lock.yaml` };
  }
  if (await reader.exists('yarn.lock')) {
    return { command: 'yarn test', because: `${because}, and there is a yarn.lock` };
  }
  return { command: 'npm test', because };
}

async function findPython(reader: RepositoryReader): Promise<Found | null> {
  const command = 'python3 -m pytest';
  if (await reader.exists('pytest.ini')) return { command, because: 'there is a pytest.ini' };
  if (/^\[tool\.pytest\b/m.test((await reader.read('pyproject.toml')) ?? '')) {
    return { command, because: 'pyproject.toml configures pytest' };
  }
  if (/^\[tool:pytest\]/m.test((await reader.read('setup.cfg')) ?? '')) {
    return { command, because: 'setup.cfg configures pytest' };
  }
  if (/^\[pytest\]/m.test((await reader.read('tox.ini')) ?? '')) {
    return { command, because: 'tox.ini configures pytest' };
  }
  const names = (await reader.list?.('tests')) ?? [];
  const named = names.some((name) => /^(test_.*|.*_test|conftest)\.py$/.test(name));
  if (named || (await reader.exists('tests/conftest.py'))) {
    return { command, because: 'tests/ holds tests of pytest' };
  }
  return null;
}

async function findGo(reader: RepositoryReader): Promise<Found | null> {
  return (await reader.exists('go.mod')) ? { command: 'go test ./...', because: 'there is a go.mod' } : null;
}

async function findRust(reader: RepositoryReader): Promise<Found | null> {
  return (await reader.exists('Cargo.toml'))
    ? { command: 'cargo test', because: 'there is a Cargo.toml' }
    : null;
}

async function findMake(reader: RepositoryReader): Promise<Found | null> {
  for (const file of ['GNUmakefile', 'makefile', 'Makefile']) {
    const text = (await reader.read(file)) ?? '';
    for (const target of ['test', 'check']) {
      const rule = new RegExp(`^${target}\\s*::?(?!=)`, 'm');
      if (rule.test(text)) return { command: `make ${target}`, because: `${file} has the target ${target}` };
    }
  }
  return null;
}

function parseJson(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
