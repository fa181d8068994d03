import type { CheckReceipt, Receipt } from '../../../contract/changes.ts';

/** One check as it ran; a receipt of it will do. */
export type JudgedCheck = Pick<CheckReceipt, 'command' | 'exitCode' | 'outcome' | 'excerpt'>;

export type CheckVerdict =
  | { verdict: 'passed'; needsHuman: boolean }
  | { verdict: 'ask'; question: string }
  | { verdict: 'red'; guidance: string };

const longestExcerpt = 4_000;

/**
 * What the checks say about a change. `pinned` are the checks on the change under the base's tests and check
 * files, null where the change touched none. Green alone is never enough where the change touched what
 * green means: a person then looks at it.
 */
export function judgeChecks(input: {
  base: JudgedCheck[];
  change: JudgedCheck[];
  pinned: JudgedCheck[] | null;
  pinnedChanges: Receipt['pinnedChanges'];
  changedFiles: string[];
}): CheckVerdict {
  const { base, change, pinned, changedFiles } = input;
  if (changedFiles.length === 0) return { verdict: 'red', guidance: nothingCommitted };
  const red = change.filter(isRed);
  if (red.length > 0) return { verdict: 'red', guidance: guide(red, base) };
  if (change.length === 0) return { verdict: 'ask', question: noChecks };
  if (input.pinnedChanges.length === 0) return { verdict: 'passed', needsHuman: false };

  const touched = input.pinnedChanges.map(({ path, status }) => `- ${path} (${status})`).join('\n');
  const ranPinned = change.every(({ command }) => pinned?.some((check) => check.command === command));
  if (!pinned || !ranPinned) {
    return { verdict: 'ask', question: `${touchesRules(touched)}\n${notPinned}\nIs the change acceptable?` };
  }
  const pinnedRed = pinned.filter(isRed);
  if (pinnedRed.length === 0) return { verdict: 'passed', needsHuman: true };
  const failures = pinnedRed.map((check) => describe(check)).join('\n\n');
  const question = `${touchesRules(touched)}\nThe checks pass with these changes, but fail under the original tests and check files:\n\n${failures}\n\nIs the change acceptable?`;
  return { verdict: 'ask', question };
}

const nothingCommitted =
  'Nothing was committed: the last commit holds the same files as the commit the work began from. Make the change, commit it with git_commit, and finish again.';
const notFound =
  'a command was not found in the clean workspace, which holds the commit, the prepared set-up and the usual system tools';
const noChecks =
  'No checks were given or found, so nothing shows that the change works. Is the change acceptable without?';
const notPinned = 'The checks could not be run under the original tests and check files.';

function touchesRules(touched: string): string {
  return `The change touches existing tests or files that decide how checks run:\n${touched}`;
}

function isRed(check: JudgedCheck): boolean {
  return check.outcome !== 'passed' || check.exitCode !== 0;
}

function guide(red: JudgedCheck[], base: JudgedCheck[]): string {
  const parts = red.map((check) => {
    const before = base.find(({ command }) => command === check.command);
    const already = before && isRed(before) ? '\nThis check failed before your change too.' : '';
    return `${describe(check)}${already}`;
  });
  const count = red.length === 1 ? 'A check is red' : `${red.length} checks are red`;
  return `${count} on your commit, run in a clean workspace without network:\n\n${parts.join('\n\n')}\n\nMend the cause, commit, and finish again. Existing tests and check files are part of the task's terms: changing them to pass does not count.`;
}

function describe(check: JudgedCheck): string {
  const output = check.excerpt.trim();
  const shown = output.length > longestExcerpt ? `[…]\n${output.slice(-longestExcerpt)}` : output;
  return `$ ${check.command}\n${describeOutcome(check)}\n${shown || '(no output)'}`;
}

function describeOutcome(check: JudgedCheck): string {
  if (check.outcome === 'timed_out') return 'timed out: it did not end within the time that a check has';
  if (check.outcome === 'out_of_memory') return 'out of memory';
  if (check.exitCode === 127) return `exit status 127: ${notFound}`;
  return check.exitCode === null ? 'ended by a signal' : `exit status ${check.exitCode}`;
}
