import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** How this machine reaches its package registries. Holds no credential that a command may see. */
export interface RegistryConfig {
  /** The npm registry's address, without user or password. */
  npmRegistry: string;
  /** `host` or `host:port`, beyond the public registries. */
  extraHosts: string[];
  /** Certificate authorities in PEM, where the machine's npm or Node names its own. */
  authorities?: string;
  /** The proxy that the server itself must go through; may hold its user and password. */
  upstream?: URL;
  /** Hosts that are reached directly in spite of `upstream`, as in NO_PROXY. */
  direct: string[];
}

/** In npm's order: what comes earlier wins. */
const settingFiles = () => [
  join(homedir(), '.npmrc'),
  '/usr/local/etc/npmrc',
  '/usr/etc/npmrc',
  '/etc/npmrc',
];

const publicRegistry = 'https://registry.npmjs.org/';

/** Reads the server's environment and npm's settings files, without starting npm. */
export async function readRegistryConfig(env: NodeJS.ProcessEnv = process.env): Promise<RegistryConfig> {
  const paths = env.npm_config_globalconfig
    ? [env.npm_config_globalconfig, ...settingFiles()]
    : settingFiles();
  const files = await Promise.all(
    paths.map(async (path) => parseSettings((await readIfThere(path)) ?? '', env)),
  );
  const setting = (name: string) =>
    env[`npm_config_${name}`] ||
    env[`NPM_CONFIG_${name.toUpperCase()}`] ||
    files.find((file) => file[name])?.[name];
  const variable = (name: string) => env[name.toLowerCase()] || env[name];
  const registry = parseAddress(setting('registry')) ?? new URL(publicRegistry);
  const upstream = parseAddress(
    setting('https_proxy') ??
      setting('https-proxy') ??
      setting('proxy') ??
      variable('HTTPS_PROXY') ??
      variable('HTTP_PROXY'),
  );
  const authoritiesFile = setting('cafile') ?? env.NODE_EXTRA_CA_CERTS ?? env.SSL_CERT_FILE;
  const authorities = authoritiesFile ? await readIfThere(authoritiesFile) : undefined;
  registry.username = '';
  registry.password = '';
  const address = new URL(registry.pathname, registry.origin);
  return {
    npmRegistry: address.href,
    extraHosts: [address.port ? address.host : address.hostname],
    ...(authorities ? { authorities } : {}),
    ...(upstream ? { upstream } : {}),
    direct: (setting('noproxy') ?? variable('NO_PROXY') ?? '').split(/[\s,]+/).filter(Boolean),
  };
}

/** Settings of an npmrc file: `name = value` a line, `${NAME}` taken from the environment. */
export function parseSettings(text: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    const expanded = value.replace(/\$\{([^}]+)\}/g, (_, variable: string) => env[variable] ?? '');
    if (name) settings[name] = expanded.replace(/^(["'])(.*)\1$/, '$2');
  }
  return settings;
}

/** Whether NO_PROXY names the host: the whole name, or a domain above it. */
export function isDirect(host: string, direct: string[]): boolean {
  return direct.some((entry) => {
    const name = entry
      .replace(/^\*?\.?/, '')
      .replace(/:\d+$/, '')
      .toLowerCase();
    return entry === '*' || (name !== '' && (host === name || host.endsWith(`.${name}`)));
  });
}

function parseAddress(text: string | undefined): URL | undefined {
  if (!text) return undefined;
  const url = URL.parse(text);
  return url && ['http:', 'https:'].includes(url.protocol) ? url : undefined;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (
      error instanceof Error &&
      'code' in error &&
      ['ENOENT', 'ENOTDIR', 'EACCES'].includes(`${error.code}`)
    ) {
      return undefined;
    }
    throw error;
  }
}
