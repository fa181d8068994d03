import { type Command, forEachChild, parse, type SyntaxNode } from 'unbash';
import { unwrapBuiltin } from './builtins.ts';
import { takesRunningOptions, unwrapProgram } from './programs.ts';
import { assignedBy, isNumber, mayBeReadAgain } from './second-reading.ts';
import {
  type CommandLine,
  exactText,
  hole,
  mayBeOptions,
  nameOf,
  type Segment,
  showWords,
  type Unwrapped,
} from './segment.ts';
import { isShell, readsOtherwise, unwrapShell } from './shells.ts';
import { tellsPrograms } from './variables.ts';
import { fieldsOf, type Params, textOf } from './words.ts';
import { unwrapWrapper } from './wrappers.ts';

const deepest = 8;
const mostSegments = 600;
const mostWords = 400;
/** Where a program is the system's own; anywhere else it only bears the name. */
const systemFolders = new Set(['/bin', '/sbin', '/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/node/bin']);
const writing = new Set(['>', '>>', '<>', '>|', '&>', '&>>']);

/**
 * A command line taken apart for the policy, by a grammar of bash: every simple command in it, wherever it
 * stands (after `&&`, in a pipe, in `$( )`, as the argument of `bash -c`, behind `timeout`), and every path that it
 * writes. What cannot be known without running it is a doubt, never left out. It bounds what a line starts by
 * itself; what a started program does in turn (a script, a test, a Makefile's rule) is the sandbox's to bound.
 */
export function readCommandLine(line: string): CommandLine {
  let reading = new Reading(new Set());
  reading.line(line, outermost);
  // What is assigned late in a line may be read early in it, as in a loop: it is read again until nothing is new.
  for (let round = 0; round < 3 && reading.isStale; round++) {
    reading = new Reading(reading.valued);
    reading.line(line, outermost);
  }
  return reading.result();
}

interface Place {
  depth: number;
  shell: string;
  params: Params;
  inner: boolean;
}

const outermost: Place = { depth: 0, shell: 'bash', params: null, inner: false };

class Reading {
  /** Variables that may hold more than a number; `*` is all of them. */
  readonly valued: Set<string>;
  readonly #before: number;
  readonly #segments = new Map<string, Segment>();
  readonly #writes = new Set<string>();
  readonly #redirects: CommandLine['redirects'] = [];
  readonly #doubts = new Set<string>();
  #lines = 0;

  constructor(valued: Set<string>) {
    this.valued = valued;
    this.#before = valued.size;
  }

  get isStale(): boolean {
    return this.valued.size > this.#before;
  }

  result(): CommandLine {
    return {
      segments: [...this.#segments.values()],
      writes: [...this.#writes],
      redirects: this.#redirects,
      doubts: [...this.#doubts],
    };
  }

  line(text: string, place: Place): void {
    this.#lines++;
    if (text.includes(hole)) {
      this.#doubt(`what ${place.shell} is given to run is known to the shell alone`);
      return;
    }
    if (place.depth > deepest || this.#lines > mostSegments) {
      this.#doubt('it is nested too deeply to be read');
      return;
    }
    if (readsOtherwise(place.shell, text))
      this.#doubt(`${place.shell} may read this line otherwise than bash does`);
    const script = parse(text);
    const params = place.params !== null && movesParams(script, place.params) ? null : place.params;
    this.#visit(script, { ...place, params });
  }

  #visit(node: SyntaxNode, place: Place): void {
    if ('errors' in node && node.errors?.length)
      this.#doubt('bash would not accept all of it, or reads it in another way');
    switch (node.type) {
      case 'Command':
        this.#command(node, place);
        break;
      case 'Assignment':
        this.#assigned(node.name, node.value.type === 'Word' && isNumber(node.value));
        break;
      case 'For':
      case 'Select':
        this.#assigned(textOf(node.name), node.type === 'For' && (node.wordlist?.every(isNumber) ?? false));
        break;
      case 'Redirect':
        if (node.target !== undefined) {
          const target = textOf(node.target, place.params);
          const duplicates = node.operator === '>&' && /^(\d+-?|-)$/.test(target);
          const writes = writing.has(node.operator) || (node.operator === '>&' && !duplicates);
          if (writes) this.#writes.add(target);
          if (writes || node.operator === '<') this.#redirects.push({ path: target, writes });
        }
        break;
      default:
        break;
    }
    if (mayBeReadAgain(node, this.valued))
      this.#doubt('a value in it is read as an expression, which may run what it holds');
    for (const { name, numeric } of assignedBy(node)) this.#assigned(name, numeric);
    // Within a function `$1` is the function's own.
    const inside = node.type === 'Function' ? { ...place, params: null } : place;
    forEachChild(node, (child) => this.#visit(child, inside));
  }

  #command(command: Command, place: Place): void {
    if (!command.name) return;
    const { params } = place;
    const args = command.args.flatMap((arg) =>
      arg.type === 'Word'
        ? fieldsOf(arg, params)
        : [
            `${arg.name}=${'type' in arg.value && arg.value.type === 'Word' ? textOf(arg.value, params) : hole}`,
          ],
    );
    const words = [...fieldsOf(command.name, params), ...args];
    const readsInput = command.redirects.some(
      (redirect) => redirect.type !== 'Redirect' || redirect.operator === '<',
    );
    this.#program(words, { ...place, readsInput, shadow: false });
  }

  #program(words: string[], place: Place & { readsInput: boolean; shadow: boolean }): void {
    const [first] = words;
    if (first === undefined) return;
    if (place.depth > deepest || this.#segments.size > mostSegments || words.length > mostWords) {
      this.#doubt('there is too much of it to be read');
      return;
    }
    if (first.includes(hole)) {
      if (!place.shadow)
        this.#doubt(`which program \`${showWords(words)}\` starts is known to the shell alone`);
      this.#keep(words, place, {});
      return;
    }
    const name = nameOf(first);
    const args = words.slice(1);
    const isSystem = !first.includes('/') || systemFolders.has(first.slice(0, -name.length - 1));
    const unwrapped = this.#unwrap(name, args, place.readsInput) ?? {};
    const found = flagsOfHoles(name, args);
    if (!place.shadow) for (const { reason } of found) this.#doubt(reason);
    const flags = [...(unwrapped.flags ?? []), ...found];
    const judged = unwrapped.plain ?? [isSystem ? name : first, ...args];
    this.#keep(judged, place, { flags, transparent: unwrapped.transparent && isSystem });
    // Denials look for the name wherever the program is, and for the words as they were written.
    for (const other of [words, [name, ...args]]) this.#keep(other, { ...place, shadow: true }, {});
    this.#follow(unwrapped, place);
  }

  #unwrap(name: string, args: string[], readsInput: boolean): Unwrapped | null {
    if (isShell(name)) return unwrapShell(name, args, readsInput);
    return unwrapBuiltin(name, args) ?? unwrapWrapper(name, args) ?? unwrapProgram(name, args);
  }

  #follow(unwrapped: Unwrapped, place: Place & { readsInput: boolean; shadow: boolean }): void {
    const within = { ...place, depth: place.depth + 1, inner: true };
    for (const doubt of unwrapped.doubts ?? []) if (!place.shadow) this.#doubt(doubt);
    for (const path of unwrapped.writes ?? []) this.#writes.add(path);
    for (const variable of unwrapped.variables ?? []) this.#assigned(variable);
    for (const command of unwrapped.commands ?? []) this.#program(command, within);
    for (const command of unwrapped.perhaps ?? []) this.#perhaps(command, within);
    for (const { text, shell, params } of unwrapped.lines ?? [])
      this.line(text, { ...within, shell, params });
  }

  /** One reading among several: no doubts come of it, and no wrapper in it is tried in all its readings again. */
  #perhaps(words: string[], place: Place & { readsInput: boolean }): void {
    const [first = ''] = words;
    const name = nameOf(first);
    this.#keep(words, { ...place, shadow: true }, {});
    this.#keep([name, ...words.slice(1)], { ...place, shadow: true }, {});
    const {
      lines = [],
      commands = [],
      transparent,
    } = this.#unwrap(name, words.slice(1), place.readsInput) ?? {};
    const within = { ...place, depth: place.depth + 1, shadow: true };
    if (isShell(name))
      for (const { text, shell, params } of lines) this.line(text, { ...within, shell, params });
    if (transparent === true || name === 'git')
      for (const command of commands) this.#program(command, within);
    if (name === 'git')
      this.#keep(
        ['git', ...words.slice(1 + words.slice(1).findIndex((word) => !word.startsWith('-')))],
        within,
        {},
      );
  }

  #keep(
    words: string[],
    place: { inner: boolean; shadow: boolean },
    more: { flags?: Segment['flags'] | undefined; transparent?: boolean | undefined },
  ): void {
    const exact = exactText(words);
    const shadow = place.shadow || more.transparent === true;
    const { flags = [] } = more;
    const known = this.#segments.get(exact);
    this.#segments.set(exact, {
      text: words.join(' '),
      exact,
      // What stands in a line twice is judged as the more exposed of the two.
      inner: known === undefined ? place.inner : known.inner || place.inner,
      shadow: known === undefined ? shadow : known.shadow && shadow,
      flags: known === undefined ? flags : [...known.flags, ...flags],
    });
  }

  #assigned(name: string, numeric = false): void {
    if (name.includes(hole)) this.valued.add('*');
    else if (tellsPrograms(name)) this.#doubt(`${name} is set, which can change what runs`);
    else if (!numeric) this.valued.add(name);
  }

  #doubt(reason: string): void {
    this.#doubts.add(reason);
  }
}

const moving = new Set(['.', 'builtin', 'command', 'eval', 'set', 'shift', 'source']);

/** Whether a line may give `$1` and the others new values. */
function movesParams(script: SyntaxNode, params: Params): boolean {
  let moves = false;
  const visit = (node: SyntaxNode) => {
    if (node.type === 'Command' && node.name !== undefined) {
      const [name = ''] = fieldsOf(node.name, params);
      moves ||= name.includes(hole) || moving.has(name);
    }
    if (!moves) forEachChild(node, visit);
  };
  visit(script);
  return moves;
}

/** A name that the shell finds, as for `*`, can be an option; of some programs that starts another. */
function flagsOfHoles(name: string, args: string[]): Segment['flags'] {
  if (!args.some(mayBeOptions) || !takesRunningOptions(name)) return [];
  return [
    { spell: null, reason: `what the shell finds could be an option that makes ${name} run a program` },
  ];
}
