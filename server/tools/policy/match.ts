import { canonicalJson } from '../../../contract/canonical-json.ts';
import type { PolicyRule } from '../../../contract/policies.ts';
import type { Effect } from '../../../contract/steps.ts';
import { readCommandLine } from '../command-line/read-line.ts';
import type { CommandLine, Segment } from '../command-line/segment.ts';
import { catches, couldCatch, coversCommand, coversSegment, matchesName, matchesPath } from '../glob.ts';
import { normalisePath } from '../paths.ts';

export interface JudgedCall {
  tool: string;
  /** A command line for `run_command`; for the others a path or nothing. */
  subject: string;
  effect: Effect;
  input?: unknown;
}

/** What a call is about, as rules look at it. */
export type Subject =
  | { kind: 'command'; line: string; read: CommandLine }
  | { kind: 'path'; paths: string[]; escapes: boolean };

/** For certain, depending on what only the shell knows, or not. */
export type Match = 'certain' | 'possible' | 'none';

const isCommandTool = (tool: string) => tool === 'run_command';

/** @param realPaths where the call's paths really lead, beside how they are written */
export function readSubject(call: JudgedCall, realPaths: readonly (string | null)[] = []): Subject {
  if (isCommandTool(call.tool)) {
    return { kind: 'command', line: call.subject, read: readCommandLine(call.subject) };
  }
  const written = call.subject === '' ? '' : normalisePath(call.subject);
  const all = [written ?? call.subject, ...realPaths.map((path) => path ?? '')].filter(
    (path, at) => at === 0 || path !== '',
  );
  return { kind: 'path', paths: [...new Set(all)], escapes: written === null || realPaths.includes(null) };
}

/** How a rule meets a call. An allowance must cover the whole of it; the others look for it anywhere. */
export function matchOf(rule: PolicyRule, call: JudgedCall, subject: Subject): Match {
  if (!matchesName(rule.tool, call.tool)) return 'none';
  if (rule.touches && rule.touches !== call.effect) return 'none';
  if (rule.input !== undefined && canonicalJson(rule.input) !== canonicalJson(call.input)) return 'none';
  if (!meetsArguments(rule, call.input)) return 'none';
  if (rule.host !== undefined && !meetsHost(rule.host, rule.effect, call.input)) return 'none';
  const matches = [
    ...(rule.path === undefined ? [] : [matchPath(rule.path, rule.effect, subject, call.input)]),
    ...(rule.command === undefined ? [] : [matchCommand(rule.command, rule.effect, subject)]),
    ...(rule.pattern === undefined ? [] : [matchPattern(rule.pattern, rule.effect, subject)]),
  ];
  if (matches.includes('none')) return 'none';
  return matches.includes('possible') ? 'possible' : 'certain';
}

function matchPattern(pattern: string, effect: PolicyRule['effect'], subject: Subject): Match {
  return subject.kind === 'command'
    ? matchCommand(pattern, effect, subject)
    : matchPath(pattern, effect, subject, undefined);
}

function matchCommand(pattern: string, effect: PolicyRule['effect'], subject: Subject): Match {
  if (subject.kind !== 'command') return 'none';
  const { line, read } = subject;
  if (effect === 'allow') return coversLine(pattern, line, read) ? 'certain' : 'none';
  const texts = read.segments.flatMap(({ text, exact }) => [text, exact]);
  if ([line, ...texts].some((text) => catches(pattern, text))) return 'certain';
  if (read.doubts.length > 0) return 'possible';
  return texts.some((text) => couldCatch(pattern, text)) ? 'possible' : 'none';
}

/** The whole line as a person would write it in a rule; what it starts further in is judged by itself. */
function coversLine(pattern: string, line: string, read: CommandLine): boolean {
  if (!coversCommand(pattern, line)) return false;
  if (isWhole(pattern, line)) return true;
  return read.doubts.length === 0 && read.segments.every((segment) => spells(pattern, segment));
}

/** Whether a pattern leaves nothing to its wildcards that would have to be judged by itself. */
export function isWhole(pattern: string | undefined, line: string): boolean {
  return pattern === undefined || pattern === '*' || pattern === line;
}

/** Whether every flag of a command that runs or writes by itself is spelt in the pattern. */
function spells(pattern: string, { flags }: Segment): boolean {
  const words = ` ${pattern.replaceAll('*', ' ')}`;
  return flags.every(({ spell }) => spell !== null && words.includes(` ${spell}`));
}

/** How a rule meets one command of a line. */
export function matchSegment(rule: PolicyRule, call: JudgedCall, segment: Segment): Match {
  if (!matchesName(rule.tool, call.tool) || (rule.touches && rule.touches !== call.effect)) return 'none';
  if (rule.input !== undefined || rule.path !== undefined || rule.host !== undefined) return 'none';
  if (!meetsArguments(rule, call.input)) return 'none';
  const patterns = [rule.pattern, rule.command].filter((pattern) => pattern !== undefined);
  if (patterns.length === 0) return 'certain';
  if (rule.effect === 'allow') {
    const covered = patterns.every(
      (pattern) =>
        pattern === '*' ||
        pattern === segment.exact ||
        (coversSegment(pattern, segment.exact) && spells(pattern, segment)),
    );
    return covered ? 'certain' : 'none';
  }
  const texts = [segment.text, segment.exact];
  if (patterns.every((pattern) => texts.some((text) => catches(pattern, text)))) return 'certain';
  return patterns.every((pattern) => texts.some((text) => couldCatch(pattern, text))) ? 'possible' : 'none';
}

function matchPath(pattern: string, effect: PolicyRule['effect'], subject: Subject, input: unknown): Match {
  const known = subject.kind === 'path' ? subject : readPaths(input);
  if (known.paths.length === 0) return 'none';
  if (known.escapes) return effect === 'allow' ? 'none' : 'possible';
  const matched = (path: string) => matchesPath(pattern, path);
  return (effect === 'allow' ? known.paths.every(matched) : known.paths.some(matched)) ? 'certain' : 'none';
}

const pathKeys = /^(path|paths|file|files|filename|folder|directory|dir|cwd|source|destination|target)$/i;
const hostKeys = /^(url|uri|urls|host|hostname|hosts|base_?url|endpoint|address)$/i;

function readPaths(input: unknown): { paths: string[]; escapes: boolean } {
  const written = textsUnder(input, pathKeys).map((path) =>
    normalisePath(path.replace(/^\/workspace(\/|$)/, '')),
  );
  return {
    paths: written.flatMap((path) => (path === null ? [''] : [path])),
    escapes: written.includes(null),
  };
}

/** An allowance needs every host of the call to fit, the others one; what is no address fits no allowance. */
function meetsHost(pattern: string, effect: PolicyRule['effect'], input: unknown): boolean {
  const hosts = textsUnder(input, hostKeys).map(hostOf);
  if (hosts.length === 0) return false;
  const fits = (host: string | null) =>
    host === null ? effect !== 'allow' : matchesName(pattern.toLowerCase(), host);
  return effect === 'allow' ? hosts.every(fits) : hosts.some(fits);
}

/** The host as a client would find it, never by its first characters. */
export function hostOf(address: string): string | null {
  const text = /^[a-z][a-z\d+.-]*:\/\//i.test(address) ? address : `https://${address}`;
  const isPlain = [...address].every((char) => char > ' ' && char !== '\\');
  if (!isPlain || !URL.canParse(text)) return null;
  const { hostname } = new URL(text);
  return hostname === '' ? null : hostname.replace(/\.$/, '').toLowerCase();
}

function textsUnder(value: unknown, keys: RegExp, under = false): string[] {
  if (typeof value === 'string') return under ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((item) => textsUnder(item, keys, under));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => textsUnder(item, keys, keys.test(key)));
}

/** An argument that is not there meets no pattern. */
function meetsArguments(rule: PolicyRule, input: unknown): boolean {
  return Object.entries(rule.arguments ?? {}).every(([pointer, pattern]) => {
    const value = valueAt(input, pointer);
    if (value === undefined) return false;
    return matchesName(pattern, typeof value === 'string' ? value : canonicalJson(value));
  });
}

/** RFC 6901. */
function valueAt(input: unknown, pointer: string): unknown {
  const keys = pointer
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  return keys.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? Reflect.get(value, key)
        : undefined,
    input,
  );
}
