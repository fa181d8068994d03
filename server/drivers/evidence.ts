import { posix } from 'node:path';
import type { Receipt } from '../../contract/changes.ts';
import type { AskStep, CheckStep, Step } from '../../contract/steps.ts';
import type { PreparedSetup } from '../computers/workspaces/prepared-setup.ts';
import type { RepositoryHandle } from '../computers/workspaces/repositories.ts';
import { foldersNamedIn } from '../domain/checks/check-folders.ts';
import { type CheckVerdict, judgeChecks } from '../domain/checks/judge-checks.ts';
import { checkScripts } from '../domain/checks/package-manifest.ts';
import { pinnedChanges, pinnedOverrides } from '../domain/checks/pinned-overrides.ts';
import { pinnedPaths } from '../domain/checks/pinned-paths.ts';
import { type CheckRunner, planSetup, toReceipt } from './checks.ts';
import type { Computer } from './parts.ts';

export interface ChecksRequest {
  computer: Computer;
  repository: RepositoryHandle;
  checks: readonly string[];
  /** Set-up commands as they were found, or given, at the base: pinned like the checks. */
  setupCommands: readonly string[];
  /** Steps of this delivery come after this one. */
  since: number;
  runner: CheckRunner;
  signal: AbortSignal;
  /** Between two checks: throws where the run must stop here. */
  boundary: () => void;
}

export interface EvidenceRequest extends ChecksRequest {
  base: string;
  commit: string;
  steps: readonly Step[];
}

export interface Evidence {
  verdict: CheckVerdict;
  receipt: Receipt;
}

/**
 * Runs the checks on a commit, and again under the base's tests and check files where the commit touches
 * them. What ran before a crash is read from the steps and not run twice.
 */
export async function gatherEvidence(request: EvidenceRequest): Promise<Evidence> {
  const { computer, repository, base, commit, signal } = request;
  const diff = await computer.content.diff(repository, base, commit, signal);
  const changedPaths = diff.files.map((file) => ({
    path: file.path,
    status: file.status,
    ...(file.from === null ? {} : { previousPath: file.from }),
  }));
  const overrides = await findOverrides(request, changedPaths);
  const change = diff.files.length === 0 ? [] : await runChecks(request, commit, 'change');
  const pinned = overrides === null || change.some(isRed) ? null : await runPinned(request, overrides);
  const touched = pinnedChanges(overrides, changedPaths);
  const baseChecks = request.steps.filter(
    (step): step is CheckStep =>
      step.kind === 'check' && step.intent.where === 'base' && step.status !== 'intended',
  );
  const receipts = {
    base: baseChecks.flatMap(toReceipt),
    change: change.flatMap(toReceipt),
    pinned: pinned?.flatMap(toReceipt) ?? null,
  };
  const verdict = judgeChecks({
    ...receipts,
    pinnedChanges: touched,
    changedFiles: diff.files.map((file) => file.path),
  });
  return {
    verdict,
    receipt: {
      base,
      commit,
      checks: [...receipts.base, ...receipts.change, ...(receipts.pinned ?? [])],
      pinnedChanges: touched,
      verdict: change.length === 0 ? 'unchecked' : 'passed',
      needsHuman: verdict.verdict !== 'passed' || verdict.needsHuman,
      acceptedBy: null,
    },
  };
}

/** Runs every check on a commit, each in a clean workspace of its own. */
export async function runChecks(
  request: ChecksRequest,
  commit: string,
  where: 'base' | 'change' | 'pinned',
): Promise<CheckStep[]> {
  const { runner, checks, since } = request;
  const setup = await prepareFor(request, commit);
  const done: CheckStep[] = [];
  for (const command of checks) {
    request.boundary();
    done.push(await runner.check({ command, commit, where }, setup, since));
  }
  return done;
}

export const isRed = (step: CheckStep) => step.result?.outcome !== 'passed';

/** The answer a person gave on the evidence of this delivery, if they were asked. */
export function findAcceptance(steps: readonly Step[], since: number): AskStep | undefined {
  return steps.findLast(
    (step): step is AskStep =>
      step.kind === 'ask' && step.seq > since && step.intent.about === 'checks' && step.status === 'done',
  );
}

async function findOverrides(
  request: EvidenceRequest,
  changedPaths: Parameters<typeof pinnedPaths>[0]['changedPaths'],
): Promise<Map<string, Buffer | null> | null> {
  const { computer, repository, base, commit, signal } = request;
  const read = (at: string) => (path: string) => computer.content.readFile(repository, at, path, signal);
  const folders = foldersNamedIn(request.checks);
  const manifests = await Promise.all(
    ['', ...folders].map((at) => read(base)(posix.join(at, 'package.json'))),
  );
  const pinned = pinnedPaths({
    basePaths: (await computer.content.listFiles(repository, base, signal)).map((file) => file.path),
    changedPaths,
    checkCommands: [...request.checks],
    scriptsText: manifests
      .map((manifest) => checkScripts(manifest?.toString('utf8') ?? null, [...request.checks]))
      .join('\n'),
  });
  return pinnedOverrides({ pinned, folders, readBase: read(base), readHead: read(commit) });
}

async function runPinned(
  request: EvidenceRequest,
  overrides: Map<string, Buffer | null>,
): Promise<CheckStep[]> {
  const { computer, repository, commit, signal } = request;
  const pinned = await computer.content.writeTreeWith(
    repository,
    commit,
    Object.fromEntries(overrides),
    signal,
  );
  return runChecks(request, pinned, 'pinned');
}

async function prepareFor(request: ChecksRequest, commit: string): Promise<PreparedSetup | null> {
  const { computer, repository, runner, setupCommands, since, signal } = request;
  const plan = await planSetup(computer, repository, commit, setupCommands, signal);
  const prepared = await computer.setups.find(plan.key);
  return prepared ?? runner.prepareSetup(commit, plan.commands, plan.key, since);
}
