import { z } from 'zod';
import type { CommandResult } from '../computers/sandbox.ts';
import { failed, succeeded } from './result.ts';
import { hasSucceeded, runForModel } from './run-command.ts';
import { decodeText } from './text.ts';
import type { Tool, ToolContext } from './tool.ts';

const timeoutMs = 60_000;

/** Reads change nothing, not even git's index; hooks and pagers have no say in what the tools do. */
const git = [
  'git',
  '--no-pager',
  '--no-optional-locks',
  '-c',
  'core.hooksPath=/dev/null',
  '-c',
  'core.quotePath=off',
];

const nothing = z.strictObject({});

export const gitStatus: Tool<z.infer<typeof nothing>> = {
  name: 'git_status',
  description: 'Shows the branch, and which files are changed, staged or unknown to git.',
  input: nothing,
  effect: 'read',
  subject: () => '',
  async run(_input, context) {
    const { result, output } = await runForModel(
      context,
      [...git, 'status', '--short', '--branch'],
      timeoutMs,
      'status.txt',
    );
    if (!hasSucceeded(result)) return failed(output, { exitCode: result.exitCode });
    return succeeded(output.includes('\n') ? output : `${output}\nnothing is changed`);
  },
};

const diffInput = z.strictObject({
  base: z
    .string()
    .regex(/^[A-Za-z0-9][\w./~^@{}-]*$/, 'expected a commit, branch or tag')
    .max(250)
    .optional()
    .describe('What to compare with; the commit that the work began from by default.'),
});

export const gitDiff: Tool<z.infer<typeof diffInput>> = {
  name: 'git_diff',
  description:
    'Shows how the files of the workspace, committed or not, differ from the commit that the work began from. Files unknown to git are only named.',
  input: diffInput,
  effect: 'read',
  subject: () => '',
  async run({ base }, context) {
    const from = base ?? context.baseCommit;
    const command = [...git, 'diff', '--no-color', '--no-ext-diff', '--no-textconv', from, '--'];
    const diff = await runForModel(context, command, timeoutMs, 'changes.diff');
    if (!hasSucceeded(diff.result)) return failed(diff.output, { exitCode: diff.result.exitCode });
    const unknown = await capture(context, ['ls-files', '--others', '--exclude-standard']);
    const names = unknown.output.split('\n').slice(0, 100).join('\n');
    const parts = [diff.output, names && `[files unknown to git, not in the diff above:]\n${names}`];
    const text = parts.filter(Boolean).join('\n') || `nothing differs from ${from}`;
    return succeeded(text, diff.artifact ? { artifact: diff.artifact } : {});
  },
};

const commitInput = z.strictObject({
  message: z
    .string()
    .trim()
    .min(1)
    .max(10_000)
    .describe('What the commit does and why; its first line is short.'),
});

/** Adds and commits everything. The date is that of the call's intent, so that a repeat makes the same commit. */
export const gitCommit: Tool<z.infer<typeof commitInput>> = {
  name: 'git_commit',
  description: 'Commits every change in the workspace, new files included.',
  input: commitInput,
  effect: 'workspace',
  subject: () => '',
  async run({ message }, context) {
    const added = await capture(context, ['add', '--all']);
    if (!added.ok) return failed(added.output);
    const staged = await capture(context, ['diff', '--cached', '--quiet']);
    if (staged.ok) return (await wasCommitted(message, context)) ?? failed(nothingToCommit);
    if (staged.result.exitCode !== 1) return failed(staged.output);

    const date = `@${Math.floor(context.intendedAt.getTime() / 1_000)} +0000`;
    const dates = ['env', `GIT_AUTHOR_DATE=${date}`, `GIT_COMMITTER_DATE=${date}`];
    const commit = [
      '-c',
      'commit.gpgSign=false',
      'commit',
      '--quiet',
      '--cleanup=verbatim',
      `--message=${message}`,
    ];
    const committed = await capture(context, commit, dates);
    if (!committed.ok) return failed(committed.output, { exitCode: committed.result.exitCode });
    return describeHead('committed', context);
  },
};

const nothingToCommit = 'there is nothing to commit: no file differs from the last commit';

/** A repeat, after a crash, of a call whose commit already landed is answered as the first time. */
async function wasCommitted(message: string, context: ToolContext) {
  const head = await capture(context, ['log', '-1', '--format=%ct%n%B']);
  const seconds = Math.floor(context.intendedAt.getTime() / 1_000);
  return head.ok && head.output === `${seconds}\n${message}` ? describeHead('committed', context) : null;
}

async function describeHead(verb: string, context: ToolContext) {
  const shown = await capture(context, ['show', '--no-color', '--stat=100', '--format=%H %s', 'HEAD']);
  return shown.ok ? succeeded(`${verb} ${shown.output}`) : failed(shown.output);
}

async function capture(
  context: ToolContext,
  args: string[],
  before: string[] = [],
): Promise<{ ok: boolean; result: CommandResult; output: string }> {
  const argv = [...before, ...git, ...args];
  const result = await context.workspace.run({ argv, limits: { timeoutMs } }, context.signal);
  const ok = hasSucceeded(result);
  const text = decodeText(ok ? result.stdout : Buffer.concat([result.stderr, result.stdout])).trimEnd();
  const output = result.timedOut
    ? `git ${args[0]} took longer than ${timeoutMs / 1_000} s`
    : text.slice(0, 8_000);
  return { ok, result, output: output || (ok ? '' : `git ${args[0]} failed`) };
}
