import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Command, CommandResult, Mount, Sandbox } from '../sandbox.ts';
import { lfsConfig } from './lfs-filter.ts';

/**
 * Git, always inside the sandbox and always with a configuration of ours. Two layers: a global file, which
 * agents' commands see too and may override for themselves, and settings in the environment, which git
 * ranks above every file: whatever a repository's own configuration says, the control plane's git runs no
 * hook, no monitor and no collection.
 */
export interface Git {
  /** The host's path of the global configuration; mounted at `gitConfigTarget`. */
  configFile: string;
  /** The user's `.ssh`, for sources that are reached by ssh; null where there is none to be used. */
  sshFolder: string | null;
  /** Runs git with `args`. A failure of git is a result. */
  git(args: string[], options: GitOptions, signal: AbortSignal): Promise<CommandResult>;
  /** Runs a constant script of ours; values go in as `$1`, `$2`, never into its text. */
  script(script: string, args: string[], options: GitOptions, signal: AbortSignal): Promise<CommandResult>;
}

export type GitOptions = Pick<Command, 'mounts' | 'stdin' | 'limits' | 'gate' | 'network'> & {
  cwd?: string;
  env?: Record<string, string>;
};

export const gitConfigTarget = '/mission/gitconfig';

const globalConfig = `[safe]
	directory = *
[core]
	hooksPath = /dev/null
	fsmonitor = false
	pager = cat
	editor = false
[gc]
	auto = 0
[maintenance]
	auto = false
[init]
	defaultBranch = main
[protocol]
	allow = never
[protocol "file"]
	allow = always
[protocol "https"]
	allow = always
[protocol "http"]
	allow = always
[protocol "ssh"]
	allow = always
[protocol "ext"]
	allow = never
[advice]
	detachedHead = false
[submodule]
	recurse = false
${lfsConfig}`;

const enforced: [string, string][] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.alternateRefsCommand', 'true'],
  ['core.fsync', 'committed,loose-object'],
  ['core.fsyncMethod', 'batch'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['protocol.ext.allow', 'never'],
  ['submodule.recurse', 'false'],
  ['commit.gpgSign', 'false'],
  ['diff.external', ''],
  ['credential.helper', ''],
];

/** What makes any git use our global file; for agents' commands too. */
export const gitEnvironment: Record<string, string> = {
  GIT_CONFIG_GLOBAL: gitConfigTarget,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
};

const controlEnvironment: Record<string, string> = {
  ...gitEnvironment,
  GIT_ATTR_NOSYSTEM: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_PAGER: 'cat',
  LC_ALL: 'C',
  GIT_CONFIG_COUNT: String(enforced.length),
  ...Object.fromEntries(
    enforced.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ),
};

/** @param home MISSION_HOME, which exists */
export async function openGit(
  home: string,
  sandbox: Sandbox,
  options: { sshFolder?: string } = {},
): Promise<Git> {
  const configFile = join(home, 'gitconfig');
  const fresh = `${configFile}.${process.pid}`;
  await mkdir(home, { recursive: true });
  await writeFile(fresh, globalConfig);
  await rename(fresh, configFile);

  const run = (argv: string[], options: GitOptions, signal: AbortSignal) =>
    sandbox.run(
      {
        ...options,
        argv,
        cwd: options.cwd ?? '/',
        mounts: [...options.mounts, gitConfigMount(configFile)],
        env: { ...controlEnvironment, ...options.env },
        limits: { timeoutMs: 300_000, fileBytes: 16 * 1024 ** 3, ...options.limits },
      },
      signal,
    );
  return {
    configFile,
    sshFolder: options.sshFolder ?? null,
    git: (args, options, signal) => run(['git', ...args], options, signal),
    script: (script, args, options, signal) => run(['sh', '-euc', script, 'sh', ...args], options, signal),
  };
}

export function gitConfigMount(configFile: string): Mount {
  return { source: configFile, target: gitConfigTarget, mode: 'read' };
}

/** The result's stdout, or an `internal` error that tells what git said. */
export function expectSuccess(result: CommandResult, doing: string): Buffer {
  if (result.exitCode === 0 && !result.stdoutTruncated) return result.stdout;
  throw new AppError('internal', `${doing} failed: ${failureOf(result)}`);
}

/** One line that tells why a command failed. */
export function failureOf(result: CommandResult): string {
  if (result.timedOut) return 'it took too long';
  if (result.outOfMemory) return 'it ran out of memory';
  if (result.stdoutTruncated) return 'its output is too large';
  const said = result.stderr.toString('utf8').trim().slice(-2000);
  return said || (result.signal ? `ended by ${result.signal}` : `exit status ${result.exitCode}`);
}

/** The records of a `-z` output. */
export function splitNul(output: Buffer): string[] {
  const text = output.toString('utf8');
  return text === '' ? [] : text.replace(/\0$/, '').split('\0');
}

const objectId = /^[0-9a-f]{40}$/;

/** @throws AppError `invalid_request`: nothing but a full object id may reach git's command line as one */
export function requireObjectId(value: string): string {
  if (objectId.test(value)) return value;
  throw new AppError('invalid_request', `${JSON.stringify(value)} is not a full commit id`);
}

/** Git's own rules for a branch's name, the parts that could be taken for something else first. */
export function isBranchName(name: string): boolean {
  if (name === '' || name.length > 200 || /^[-/.]|[/.]$|\.\.|\/\/|@\{|\/\.|\.lock(\/|$)/.test(name))
    return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return name !== '@' && !/[\u0000-\u0020\u007f~^:?*[\\]/.test(name);
}

/** A path inside a repository that can name a file of it. */
export function isRepositoryPath(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.includes('\0')) return false;
  return path
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && !/^\.git$/i.test(part));
}
