import type { AskStep, Step, Taint, ToolResult } from '../../../contract/steps.ts';
import { isSecretPath, pathsIn } from './secret-paths.ts';

/** What is known of a run before it reads anything. */
export interface TaintContext {
  /** The project's name where it is marked private, or untrusted. */
  privateProject: string | null;
  untrustedProject: string | null;
  /** Files of the workspace that hold secrets by their names: every command may read them. */
  secretFiles: readonly string[];
  /** The task's own words or attachments were not given by a person of this house. */
  base: readonly Taint[];
}

/** Calls that read nothing of the workspace. */
const readsNothing = new Set(['ask_human', 'note', 'finish_phase']);

export interface EndedCall {
  name: string;
  input: unknown;
  effect: 'read' | 'workspace' | 'external';
  /** Hosts that answered while it ran; a private one is a host of this house's own network. */
  answered: readonly { host: string; private: boolean; credential: string | null }[];
}

/** What a call brought into its run. Pure: the same call with the same result brings the same. */
export function taintOf(call: EndedCall, result: Pick<ToolResult, 'output'>, context: TaintContext): Taint[] {
  const found: Taint[] = [];
  const add = (kind: Taint['kind'], source: string) => {
    if (!found.some((one) => one.kind === kind && one.source === source)) found.push({ kind, source });
  };
  if (!readsNothing.has(call.name)) {
    if (context.privateProject !== null) add('private', `the files of ${context.privateProject}`);
    if (context.untrustedProject !== null) add('untrusted', `the files of ${context.untrustedProject}`);
    for (const path of pathsIn(call.input)) if (isSecretPath(path)) add('private', path);
    if (call.name === 'run_command') for (const path of context.secretFiles.slice(0, 3)) add('private', path);
    if (holdsSecret(result.output)) add('private', `a secret in the output of ${call.name}`);
  }
  for (const { host, private: isPrivate, credential } of call.answered) {
    if (isPrivate) add('private', host);
    if (credential !== null) add('private', `${host} by the credential ${credential}`);
    add('untrusted', host);
  }
  if (call.effect === 'external') add('untrusted', `the tool ${call.name}`);
  return found;
}

/** Shapes that nothing but a secret has. */
const secretShapes =
  /-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{22,}|\bsk-[A-Za-z0-9_-]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\./;

function holdsSecret(output: string): boolean {
  return secretShapes.test(output);
}

export interface FoldedTaint {
  private: TaintedBy[];
  untrusted: TaintedBy[];
}
export interface TaintedBy {
  source: string;
  /** The first step that brought it; null for the task itself. */
  seq: number | null;
}

/** The taint of a run: all that its steps brought, each source with the step that brought it first. */
export function foldTaint(steps: readonly Step[], base: readonly Taint[] = []): FoldedTaint {
  const folded: FoldedTaint = { private: [], untrusted: [] };
  const add = ({ kind, source }: Taint, seq: number | null) => {
    if (!folded[kind].some((known) => known.source === source)) folded[kind].push({ source, seq });
  };
  for (const taint of base) add(taint, null);
  for (const step of steps) for (const taint of taintOfStep(step)) add(taint, step.seq);
  return folded;
}

export function taintOfStep(step: Step): readonly Taint[] {
  if (step.kind === 'tool') return step.result?.taint ?? [];
  return step.kind === 'guidance' ? (step.intent.taint ?? []) : [];
}

/** Both are there: what leaves now may carry the one by order of the other. */
export function isDangerous(taint: FoldedTaint): boolean {
  return taint.private.length > 0 && taint.untrusted.length > 0;
}

export function describeTaint(taint: FoldedTaint): string {
  return `this run has read private data (${list(taint.private)}) and words that others may have written (${list(taint.untrusted)})`;
}

function list(sources: readonly TaintedBy[]): string {
  const named = sources
    .slice(0, 3)
    .map(({ source, seq }) => (seq === null ? source : `${source}, step ${seq}`));
  return sources.length > 3 ? `${named.join('; ')} and ${sources.length - 3} more` : named.join('; ');
}

/** Hosts that a person let the run reach, those that a person refused, and those that still have to be asked for. */
export function readDepartures(steps: readonly Step[]): {
  approved: Set<string>;
  refused: Set<string>;
  wanted: Map<string, string>;
} {
  const approved = new Set<string>();
  const refused = new Set<string>();
  const wanted = new Map<string, string>();
  for (const step of steps) {
    if (step.kind === 'tool')
      for (const { host, reason } of step.result?.keptFrom ?? [])
        if (!refused.has(host)) wanted.set(host, reason);
    if (step.kind === 'ask' && step.result !== null) {
      for (const host of leavesOf(step)) {
        wanted.delete(host);
        if (step.result.decision === 'approve') approved.add(host);
        else refused.add(host);
      }
    }
  }
  return { approved, refused, wanted };
}

function leavesOf(step: AskStep): readonly string[] {
  return step.intent.leaves ?? [];
}
