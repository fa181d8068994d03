import { hole, type Unwrapped } from './segment.ts';

const words = (args: string[]) => args.filter((arg) => !/^[-+]\w*$/.test(arg));

/** An argument that bash reads again as an expression: `a[$(x)]` starts x there. */
function isReadAgain(arg: string): boolean {
  return /[[$`(]/.test(arg) || arg.includes(hole);
}

function names(builtin: string): (args: string[]) => Unwrapped {
  return (args) => ({
    variables: words(args).map((arg) => arg.split('=', 1)[0] ?? ''),
    doubts: words(args).some((arg) => isReadAgain(arg.split('=', 1)[0] ?? ''))
      ? [`${builtin} may run what the name of its variable holds`]
      : [],
  });
}

function declares(builtin: string): (args: string[]) => Unwrapped {
  return (args) => {
    const options = args.filter((arg) => /^[-+]/.test(arg)).join('');
    const named = names(builtin)(args);
    const evaluates = /[in]/.test(options) && !['export', 'readonly'].includes(builtin);
    return evaluates || options.includes('n')
      ? { ...named, doubts: [...(named.doubts ?? []), `${builtin} ${options} reads a value again`] }
      : named;
  };
}

const whole = (reason: string) => (): Unwrapped => ({ doubts: [reason] });

const table: Record<string, (args: string[]) => Unwrapped> = {
  // `eval` is handled with its fields joined, as the shell does it.
  eval: (args) =>
    args.some((arg) => arg.includes(hole))
      ? { doubts: ['what eval runs is known to the shell alone'] }
      : {
          lines: [{ text: args.filter((arg) => arg !== '--').join(' '), shell: 'bash', params: null }],
          transparent: true,
        },
  trap: (args) => {
    const [first] = args.filter((arg) => arg !== '--' && !/^-[lpP]$/.test(arg));
    if (first === undefined || first === '-' || /^\d+$/.test(first)) return {};
    return { lines: [{ text: first, shell: 'bash', params: null }] };
  },
  alias: (args) => ({
    lines: args.flatMap((arg) =>
      arg.includes('=') ? [{ text: arg.slice(arg.indexOf('=') + 1), shell: 'bash', params: null }] : [],
    ),
    doubts: args.length > 0 ? ['an alias changes what the words after it mean'] : [],
  }),
  source: (args) => sourced(args),
  '.': (args) => sourced(args),
  enable: (args) =>
    args.some((arg) => /^-\w*f/.test(arg)) ? { doubts: ['enable -f loads a builtin from a file'] } : {},
  hash: (args) =>
    args.some((arg) => /^-\w*p/.test(arg) || arg.includes(hole))
      ? { doubts: ['hash -p says which file a name runs'] }
      : {},
  mapfile: callback,
  readarray: callback,
  complete: whole('complete may run a command'),
  compgen: whole('compgen may run a command'),
  bind: whole('bind may run a command'),
  fc: whole('fc may run a command'),
  let: (args) => ({
    lines: args
      .filter((arg) => !arg.includes(hole))
      .map((arg) => ({ text: `((${arg}))`, shell: 'bash', params: null })),
    doubts: args.some((arg) => isReadAgain(arg)) ? ['let may run what its expression holds'] : [],
  }),
  unset: names('unset'),
  read: names('read'),
  getopts: names('getopts'),
  wait: (args) => (args.some((arg) => arg.startsWith('-')) ? names('wait')(args) : {}),
  export: declares('export'),
  readonly: declares('readonly'),
  declare: declares('declare'),
  typeset: declares('typeset'),
  local: declares('local'),
  printf: (args) =>
    /^-v/.test(args[0] ?? '') ? names('printf -v')([args[0]?.slice(2) || (args[1] ?? '')]) : {},
  test: tested,
  '[': tested,
};

function sourced(args: string[]): Unwrapped {
  const [file = hole] = args.filter((arg) => arg !== '--');
  const isUnknown = file.includes(hole) || /^\/(dev|proc)\//.test(file);
  return isUnknown
    ? { doubts: ['which commands are sourced is known to the shell alone'] }
    : { variables: [hole] };
}

function callback(args: string[]): Unwrapped {
  const at = args.findIndex((arg) => /^-\w*C/.test(arg));
  const base = names('mapfile')(args.filter((_, index) => at < 0 || (index !== at && index !== at + 1)));
  return at < 0 ? base : { ...base, doubts: ['mapfile -C runs a command for its lines'] };
}

function tested(args: string[]): Unwrapped {
  const risky = args.some((arg, at) => /^-[vR]$/.test(args[at - 1] ?? '') && isReadAgain(arg));
  const dynamic = args.some((arg, at) => arg.includes(hole) && isReadAgain(args[at + 1] ?? ''));
  return risky || dynamic ? { doubts: ['test -v may run what the name of its variable holds'] } : {};
}

export function unwrapBuiltin(name: string, args: string[]): Unwrapped | null {
  return Object.hasOwn(table, name) ? (table[name]?.(args) ?? null) : null;
}
