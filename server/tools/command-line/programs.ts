import { unwrapGit } from './git-command.ts';
import { isLongOption, valueAfter } from './options.ts';
import { type Flag, hole, type Unwrapped } from './segment.ts';

/** Options by which a program starts another, or writes where it is told. */
interface RunningOptions {
  long?: string[];
  /** Letters whose value is a command. */
  short?: string;
  /** Written with one dash, as Go's are. */
  dashed?: string[];
  writesLong?: string[];
  writesShort?: string;
}

const options: Record<string, RunningOptions> = {
  rg: { long: ['pre', 'hostname-bin'] },
  sort: { long: ['compress-program'], writesLong: ['output'], writesShort: 'o' },
  tar: {
    long: [
      'checkpoint-action',
      'to-command',
      'use-compress-program',
      'info-script',
      'new-volume-script',
      'rsh-command',
      'rmt-command',
    ],
    short: 'IF',
  },
  bsdtar: { long: ['use-compress-program'], short: 'I' },
  split: { long: ['filter'] },
  go: { dashed: ['exec', 'toolexec', 'vettool', 'overlay', 'ldflags', 'gcflags', 'asmflags'] },
  man: { long: ['pager', 'html', 'preprocessor', 'config-file'], short: 'PHC' },
  zip: { long: ['unzip-command'], short: 'T' },
  curl: { writesLong: ['output'], writesShort: 'o' },
  wget: { long: ['use-askpass'], writesLong: ['output-document'], writesShort: 'O' },
  less: { short: 'k', long: ['lesskey-file', 'lesskey-src', 'lesskey-content'] },
  ctags: { long: ['options'] },
  pip: { long: ['python', 'editable', 'target'] },
  pip3: { long: ['python', 'editable', 'target'] },
  install: { long: ['strip-program'] },
};

/** They open what their user chooses from within, or read commands from where no rule looks. */
const interactive = new Set(
  'ed ex emacs joe less more mc nano nvim pico vi view vim vimdiff rvim w3m lynx mutt ftp telnet nc ncat socat'.split(
    ' ',
  ),
);

/** Options that carry code for an interpreter. */
const code: Record<string, RegExp> = {
  python: /^-\w*[cm]/,
  node: /^(-\w*[epr]|--eval|--print|--require|--import|--loader|--experimental-loader)/,
  deno: /^(eval|repl|-\w*A)/,
  bun: /^(-\w*[epr]|--eval|--preload|x$)/,
  perl: /^-\w*[eEMmI]/,
  ruby: /^-\w*[erI]/,
  php: /^-\w*[rBEd]/,
  lua: /^-\w*[el]/,
  Rscript: /^-e/,
  osascript: /^-e/,
  tclsh: /^-$/,
  ghc: /^-e/,
};

/** Of package managers: what runs a package's or a project's programs. */
const managers: Record<string, RegExp> = {
  npm: /^(exec|x|explore|init|create|config|set|rebuild|edit|pkg)$/,
  yarn: /^(exec|dlx|create|node|config|set)$/,
  pnpm: /^(exec|dlx|create|config|set|env)$/,
  uv: /^(run|tool|pip)$/,
  poetry: /^(run|shell|config)$/,
  bundle: /^(exec|config)$/,
  cargo: /^(run|install|config)$/,
  pipenv: /^(run|shell)$/,
  corepack: /./,
};

export function unwrapProgram(name: string, args: string[]): Unwrapped | null {
  if (name === 'git') return unwrapGit(args);
  if (interactive.has(name)) {
    const reason = `${name} runs commands from within`;
    return {
      flags: [{ spell: null, reason }],
      lines: linesOf(args.filter((arg) => /^[+-]/.test(arg)).map((arg) => arg.replace(/^\+?[:!]*/, ''))),
    };
  }
  if (name === 'sed' || name === 'gsed') return unwrapSed(args);
  if (/^[gmn]?awk$/.test(name)) return unwrapAwk(args);
  if (name === 'jq' || name === 'yq' || name === 'gojq') return unwrapJq(args);
  if (name === 'make' || name === 'gmake' || name === 'ninja' || name === 'just')
    return unwrapMake(name, args);
  if (name === 'tee') return { writes: args.filter((arg) => !arg.startsWith('-')) };
  if (name === 'dd')
    return { writes: args.filter((arg) => arg.startsWith('of=')).map((arg) => arg.slice(3)) };
  if (['cp', 'mv', 'ln', 'install'].includes(name)) return unwrapCopy(args);
  if (['touch', 'truncate'].includes(name)) return { writes: args.filter((arg) => !arg.startsWith('-')) };
  const manager = Object.hasOwn(managers, name) ? managers[name] : undefined;
  if (manager !== undefined) return unwrapManager(name, args, manager);
  const interpreter = name.replace(/[\d.]+$/, '');
  const inline = Object.hasOwn(code, interpreter) ? code[interpreter] : undefined;
  if (inline !== undefined) return unwrapInterpreter(name, args, inline);
  const known = Object.hasOwn(options, name) ? options[name] : undefined;
  return known === undefined ? null : unwrapOptions(name, args, known);
}

/** Whether one of its arguments could make a program start another. */
export function takesRunningOptions(name: string): boolean {
  const known = ['git', 'fd', 'fdfind', 'sed', 'awk', 'make'];
  return known.includes(name) || Object.hasOwn(options, name) || Object.hasOwn(managers, name);
}

function linesOf(texts: string[]): NonNullable<Unwrapped['lines']> {
  return texts
    .filter((text) => text !== '' && !text.includes(hole))
    .map((text) => ({ text, shell: 'sh', params: null }));
}

function unwrapOptions(name: string, args: string[], known: RunningOptions): Unwrapped {
  const flags: Flag[] = [];
  const texts: string[] = [];
  const writes: string[] = [];
  for (const [at, arg] of args.entries()) {
    const long = isLongOption(arg, known.long ?? []);
    const dashed = (known.dashed ?? []).find((option) => new RegExp(`^--?${option}(=|$)`).test(arg));
    const letter = [...(known.short ?? '')].find(
      (one) => new RegExp(`^-\\w*${one}`).test(arg) && !arg.startsWith('--'),
    );
    if (long !== null || dashed !== undefined || letter !== undefined) {
      const spell = arg.split('=', 1)[0] ?? arg;
      flags.push({ spell, reason: `${name} ${spell} can run a program` });
      const value =
        letter === undefined ? valueAt(args, at) : arg.slice(arg.indexOf(letter) + 1) || (args[at + 1] ?? '');
      texts.push(value.replace(/^(exec=|command=|!)/, ''));
    }
    if (isLongOption(arg, known.writesLong ?? [])) writes.push(valueAfter(args, at));
    const out = [...(known.writesShort ?? '')].find(
      (one) => new RegExp(`^-\\w*${one}`).test(arg) && !arg.startsWith('--'),
    );
    if (out !== undefined) writes.push(arg.slice(arg.indexOf(out) + 1) || (args[at + 1] ?? hole));
  }
  return { flags, lines: linesOf(texts), writes, commands: commandsOfLines(texts) };
}

function valueAt(args: string[], at: number): string {
  const arg = args[at] ?? '';
  const equals = arg.indexOf('=');
  return equals >= 0 ? arg.slice(equals + 1) : (args[at + 1] ?? '');
}

/** A value with a hole in it is a command that nobody can name. */
function commandsOfLines(texts: string[]): string[][] {
  return texts.filter((text) => text.includes(hole)).map((text) => [text]);
}

/** One command that only prints, deletes or replaces, and so starts and writes nothing. */
const harmlessSed =
  /\s*(?:(?:\d+|\$|\/(?:[^/\\\n]|\\.)*\/I?)(?:,(?:[+~]?\d+|\$|\/(?:[^/\\\n]|\\.)*\/I?))?)?!?(?:[pdqDPNnhHgGx=]|s([/|#,:@])(?:(?!\1)[^\\\n]|\\.)*\1(?:(?!\1)[^\\\n]|\\.)*\1[gpiI\d]*|y([/|#,:])(?:(?!\2)[^\\\n]|\\.)*\2(?:(?!\2)[^\\\n]|\\.)*\2)\s*(?:[;\n]+|$)/y;

function isHarmlessSed(script: string): boolean {
  for (let at = 0; at < script.length; at = harmlessSed.lastIndex) {
    harmlessSed.lastIndex = at;
    if (!harmlessSed.test(script)) return false;
  }
  return true;
}

function unwrapSed(args: string[]): Unwrapped {
  const scripts: string[] = [];
  const writes: string[] = [];
  const operands: string[] = [];
  let fromFile = false;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (/^-[nErsuz]*e$|^--exp[a-z]*$/.test(arg)) scripts.push(args[++at] ?? '');
    else if (/^--exp[a-z]*=/.test(arg)) scripts.push(arg.slice(arg.indexOf('=') + 1));
    else if (/^-[nErsuz]*e./.test(arg)) scripts.push(arg.slice(arg.indexOf('e') + 1));
    else if (/^-[nErsuz]*f|^--fi/.test(arg)) fromFile = true;
    else if (!arg.startsWith('-') || arg === '-') operands.push(arg);
  }
  if (scripts.length === 0 && !fromFile) scripts.push(operands.shift() ?? '');
  if (args.some((arg) => /^-\w*i|^--in-place/.test(arg))) writes.push(...operands);
  const harmless = !fromFile && scripts.every((script) => !script.includes(hole) && isHarmlessSed(script));
  const reason = 'this sed script can run commands or write files';
  return harmless
    ? { writes }
    : { writes, flags: [{ spell: null, reason }], doubts: runsCommands(scripts, fromFile) ? [reason] : [] };
}

function runsCommands(scripts: string[], fromFile: boolean): boolean {
  return fromFile || scripts.some((script) => script.includes(hole) || /e/.test(script));
}

function unwrapAwk(args: string[]): Unwrapped {
  const quiet = args.every((arg, at) => !/^-(?![Fv])|^--/.test(arg) || /^-[Fv]$/.test(args[at - 1] ?? ''));
  const text = args.join('\n');
  if (quiet && !/[|>@]|system|getline/.test(text) && !text.includes(hole)) return {};
  const reason = 'this awk program can run commands or write files';
  const called = [...text.matchAll(/system\s*\(\s*"((?:[^"\\]|\\.)*)"|"((?:[^"\\]|\\.)*)"\s*\|/g)].map(
    (found) => found[1] ?? found[2] ?? '',
  );
  const unnamed = /[|@]|system|getline/.test(text) || text.includes(hole) || !quiet;
  return { flags: [{ spell: null, reason }], lines: linesOf(called), doubts: unnamed ? [reason] : [] };
}

function unwrapJq(args: string[]): Unwrapped {
  const tells = args.filter(
    (arg) =>
      /\$ENV|\$__prog|\benv\b|\binclude\b|\bimport\b|\bload\b/.test(arg) ||
      /^-\w*[fL]|^--(from-file|library-path|rawfile|slurpfile)/.test(arg),
  );
  return {
    flags: tells.map((arg) => ({
      spell: arg.includes(' ') ? null : arg,
      reason: `jq ${arg} reads the environment or other files`,
    })),
  };
}

function unwrapMake(name: string, args: string[]): Unwrapped {
  const flags: Flag[] = [];
  const texts: string[] = [];
  for (const [at, arg] of args.entries()) {
    if (/^[A-Za-z_.]\w*[:+?]?=/.test(arg)) {
      flags.push({
        spell: arg.split('=', 1)[0] ?? null,
        reason: `${name} ${arg} may change what its rules run`,
      });
      texts.push(arg.slice(arg.indexOf('=') + 1));
    }
    if (/^--ev|^-E/.test(arg)) {
      flags.push({ spell: arg, reason: `${name} ${arg} adds rules of its own` });
      texts.push(valueAt(args, at));
    }
    if (/^-\w*[fCI]|^--(file|makefile|directory|include-dir)/.test(arg)) {
      flags.push({ spell: arg, reason: `${name} ${arg} takes its rules from elsewhere` });
    }
  }
  return {
    flags,
    perhaps: texts.map((text) => text.split(/\s+/)),
    doubts: texts.length > 0 ? [`${name} runs what it is given as a rule or variable`] : [],
  };
}

function unwrapCopy(args: string[]): Unwrapped {
  const operands = args.filter((arg) => !arg.startsWith('-'));
  const target = args.findIndex((arg) => /^-t$|^--target-directory/.test(arg));
  const into = target >= 0 ? valueAfter(args, target) : (operands.at(-1) ?? '');
  const names = operands
    .slice(0, -1)
    .map((path) => `${into}/${path.replace(/\/$/, '').split('/').at(-1) ?? ''}`);
  return { writes: operands.length > 1 || target >= 0 ? [into, ...names] : operands };
}

function unwrapManager(name: string, args: string[], running: RegExp): Unwrapped {
  const at = args.findIndex((arg) => !arg.startsWith('-'));
  const word = args[at] ?? '';
  const script = args.findIndex((arg) =>
    /^--(script-shell|node-options|userconfig|globalconfig|prefix|call|config)\b|^-c$|^--use-node-version/.test(
      arg,
    ),
  );
  const flags: Flag[] = [];
  if (script >= 0)
    flags.push({
      spell: args[script]?.split('=', 1)[0] ?? null,
      reason: `${name} ${args[script]} changes what runs`,
    });
  if (word.includes(hole) || !running.test(word)) {
    return {
      flags,
      ...(word.includes(hole) ? { doubts: [`what ${name} runs is known to the shell alone`] } : {}),
    };
  }
  const rest = args.slice(at + 1);
  flags.push({ spell: `${name} ${word}`, reason: `${name} ${word} runs another program` });
  const perhaps = rest.slice(0, 40).map((_, index) => rest.slice(index));
  return {
    flags,
    perhaps,
    lines: linesOf(rest.filter((arg) => /\s/.test(arg))),
    doubts: [`what ${name} ${word} runs is found by ${name} alone`],
  };
}

function unwrapInterpreter(name: string, args: string[], inline: RegExp): Unwrapped {
  const first = args.findIndex((arg) => inline.test(arg));
  const operand = args.findIndex((arg) => !arg.startsWith('-'));
  if (first >= 0 && (operand < 0 || first <= operand)) {
    return {
      flags: [{ spell: args[first] ?? null, reason: `${name} ${args[first]} runs code that no rule reads` }],
    };
  }
  if (args.length === 0 || args[0] === '-')
    return { flags: [{ spell: null, reason: `${name} runs code from its input` }] };
  return {};
}
