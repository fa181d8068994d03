import type { FileChange } from '../../contract/changes.ts';
import type { GuidanceIntent } from '../../contract/steps.ts';
import { findConflictMarkers } from '../computers/workspaces/rework.ts';
import { getChange } from '../domain/changes/changes.ts';
import type { RunOrigin } from '../domain/runs/runs.ts';
import type { DriveContext } from '../runs/worker.ts';
import type { Assignment } from './assignment.ts';
import type { DriverParts } from './parts.ts';
import type { Preparation } from './prepare.ts';
import { enterPhase } from './record.ts';

const mostFiles = 50;

/**
 * The first guidance of a run that goes on with a change that was sent back: why it was, what it is, and what
 * the workspace holds. The agent begins with the phase in which such changes are worked on.
 */
export async function briefOnSentBack(
  parts: DriverParts,
  context: DriveContext,
  assignment: Assignment,
  work: { preparation: Preparation; phase: string },
): Promise<void> {
  const { origin } = assignment;
  const { journal, run, signal } = context;
  if (origin === null || journal.steps.some((step) => step.kind === 'guidance')) return;
  const { preparation, phase } = work;
  const change = await getChange(parts.database, origin.changeId);
  const diff = await parts.computer.content.diff(
    preparation.repository,
    change.baseCommit,
    change.commit,
    signal,
  );
  const from = change.sentBack?.by ?? 'control-plane';
  const text = [
    `Your change "${change.title}" (${change.id}) was sent back by ${from}:`,
    change.sentBack?.comments ?? '',
    `The change as it was delivered:\n${listFiles(diff.files)}`,
    describeWorkspace(origin, change.commit, preparation.branch),
    'Do what the comments ask, look at the whole again, commit it and finish.',
  ].join('\n\n');
  const intent: GuidanceIntent = { text, from, phase };
  await journal.record({ kind: 'guidance', name: from, intent }, { status: 'done' }, (transaction) =>
    enterPhase(transaction, run, phase),
  );
}

/** What a delivery of such a run must be, beyond green checks. Null where it is that. */
export async function objectToRework(
  parts: DriverParts,
  origin: RunOrigin,
  delivery: { preparation: Preparation; commit: string },
  signal: AbortSignal,
): Promise<string | null> {
  const { preparation, commit } = delivery;
  if (commit === origin.start)
    return 'Nothing was committed since the change was sent back. Do what the comments ask and commit it; if nothing needs to change, say why with ask_human.';
  if (!origin.uncommitted) return null;
  const range = { base: origin.base, commit };
  const found = await findConflictMarkers(parts.computer.git, preparation.repository, range, signal);
  if (found.length === 0) return null;
  return `Conflict markers are still in the files:\n${found.join('\n')}\nResolve them, commit, and finish again.`;
}

function listFiles(files: readonly FileChange[]): string {
  const lines = files
    .slice(0, mostFiles)
    .map(({ path, status, additions, deletions }) => `- ${path} (${status}, +${additions} -${deletions})`);
  const rest = files.length - lines.length;
  return [...lines, ...(rest > 0 ? [`- and ${rest} more`] : [])].join('\n');
}

function describeWorkspace(origin: RunOrigin, commit: string, branch: string): string {
  if (origin.uncommitted)
    return `The workspace holds ${branch} as it is now, and on top of it, not committed, your change merged with it. Where both touched the same lines, git's conflict markers show ${branch}'s first and yours second: write what keeps the sense of both.`;
  if (origin.start === commit)
    return 'The workspace holds the change as it was delivered; new commits go on top of it.';
  return `The workspace holds your change merged with ${branch} as it is now; new commits go on top of that.`;
}
