import { type OptionShape, skipOptions } from './options.ts';
import { anything, hole, mayBeOptions, mayBeWords, type Unwrapped } from './segment.ts';

type Unwrap = (args: string[]) => Unwrapped;

/** Programs that start what their operands spell, behind options that we know. */
const transparent: Record<string, { shape: OptionShape; operands?: number }> = {
  builtin: { shape: {} },
  chrt: {
    shape: { plain: 'abdfioRrvm', valued: 'DPT', long: ['batch', 'deadline', 'fifo', 'idle', 'other', 'rr'] },
    operands: 1,
  },
  exec: { shape: { plain: 'cl', valued: 'a' } },
  ionice: { shape: { plain: 't', valued: 'cn', long: ['ignore', 'class=', 'classdata='] } },
  nice: { shape: { valued: 'n', numbers: true, long: ['adjustment='] } },
  nohup: { shape: {} },
  setsid: { shape: { plain: 'cfw', long: ['ctty', 'fork', 'wait'] } },
  stdbuf: { shape: { valued: 'ioe', long: ['input=', 'output=', 'error='] } },
  time: {
    shape: { plain: 'apqv', valued: 'f', long: ['append', 'portability', 'quiet', 'verbose', 'format='] },
  },
  timeout: {
    shape: {
      plain: 'v',
      valued: 'ks',
      long: ['preserve-status', 'foreground', 'verbose', 'kill-after=', 'signal='],
    },
    operands: 1,
  },
};

/** They start what their arguments spell, in ways that we do not read to the end. */
const opaque = new Set(
  `at batch bwrap cgexec chpst chroot dbus-run-session doas entr expect fakeroot firejail flock ltrace linux32 linux64 i386
   ld.so nsenter numactl parallel prlimit proot rlwrap run-parts runuser script setarch setpriv softlimit ssh
   start-stop-daemon strace su sudo systemd-run taskset unbuffer unshare valgrind watch xvfb-run
   npx bunx uvx pipx podman docker kubectl gdb lldb perf tmux screen crontab rsync scp sftp git-shell`
    .split(/\s+/)
    .filter(Boolean),
);

/** The loader starts what it is given, as in `/lib64/ld-linux-x86-64.so.2 /bin/rm`. */
const loader = /^ld(-[\w.-]+)?\.so[\d.]*$/;

export function unwrapWrapper(name: string, args: string[]): Unwrapped | null {
  const known = Object.hasOwn(transparent, name) ? transparent[name] : undefined;
  if (known !== undefined) {
    const first = skipOptions(args, known.shape);
    if (first === null) return unread(name, args);
    const begin = first + (known.operands ?? 0);
    return args.slice(first, begin).some(mayBeWords) ? unread(name, args) : startOf(args.slice(begin));
  }
  const own = Object.hasOwn(unwraps, name) ? unwraps[name] : undefined;
  if (own !== undefined) return own(args);
  return opaque.has(name) || loader.test(name) ? unread(name, args) : null;
}

/** Nothing to start is no wrapper: `env` alone, `nice` alone, `exec > file`. */
function startOf(command: string[], more: Partial<Unwrapped> = {}): Unwrapped {
  return command.length === 0 ? { doubts: [], ...more } : { commands: [command], transparent: true, ...more };
}

/** Every word could be where the command begins. */
function unread(name: string, args: string[]): Unwrapped {
  const perhaps = args.slice(0, 60).map((_, at) => args.slice(at));
  const reason = `${name} starts what its arguments spell, in a way that is not read here`;
  const lines = args
    .filter((arg) => /\s/.test(arg))
    .slice(0, 20)
    .map((text) => ({ text, shell: 'sh', params: null }));
  return { perhaps, lines, doubts: args.length > 0 ? [reason] : [], flags: [{ spell: null, reason }] };
}

const unwraps: Record<string, Unwrap> = {
  env: unwrapEnv,
  command: (args) => {
    const first = skipOptions(args, { plain: 'pvV' });
    if (first === null) return unread('command', args);
    const looksUp = args.slice(0, first).some((arg) => /[vV]/.test(arg));
    return looksUp ? {} : startOf(args.slice(first));
  },
  xargs: (args) => {
    const first = skipOptions(args, {
      plain: '0rtpxo',
      valued: 'aILnPdsE',
      long: 'null no-run-if-empty verbose interactive exit open-tty arg-file= max-lines max-args= max-procs= delimiter= max-chars= replace= eof='.split(
        ' ',
      ),
    });
    if (first === null) return unread('xargs', args);
    const command = args.slice(first);
    const replaced = replacementOf(args.slice(0, first));
    if (replaced !== null && command.some((word) => word.includes(replaced))) {
      return startOf(command.map((word) => word.replaceAll(replaced, hole)));
    }
    return startOf([...(command.length === 0 ? ['echo'] : command), anything]);
  },
  busybox: (args) => (args[0]?.startsWith('-') ? {} : startOf(args)),
  toybox: (args) => (args[0]?.startsWith('-') ? {} : startOf(args)),
  find: unwrapFind,
  fd: unwrapFd,
  fdfind: unwrapFd,
};

function replacementOf(options: string[]): string | null {
  for (const [at, option] of options.entries()) {
    if (/^-\w*I/.test(option)) return option.replace(/^-\w*?I/, '') || (options[at + 1] ?? '{}');
    if (/^--rep/.test(option)) return option.includes('=') ? option.replace(/^[^=]*=/, '') : '{}';
  }
  return null;
}

function unwrapEnv(args: string[]): Unwrapped {
  const first = skipOptions(args, {
    plain: 'i0v',
    valued: 'uC',
    long: [
      'ignore-environment',
      'null',
      'unset=',
      'chdir=',
      'debug',
      'block-signal',
      'default-signal',
      'ignore-signal',
    ],
  });
  // `-S` splits one word into a command line of its own.
  if (first === null) return unread('env', args);
  let at = args[first] === '-' ? first + 1 : first;
  const variables: string[] = [];
  const unset = args
    .slice(0, first)
    .flatMap((arg, index) => (/^(-u|--unset)$/.test(arg) ? [args[index + 1] ?? ''] : []));
  if (
    args
      .slice(at)
      .some(
        (arg, index, rest) => mayBeWords(arg) && rest.slice(0, index + 1).every((one) => one.includes('=')),
      )
  )
    return unread('env', args);
  for (; at < args.length && args[at]?.includes('='); at++) variables.push(args[at]?.split('=', 1)[0] ?? '');
  return startOf(args.slice(at), { variables: [...variables, ...unset] });
}

function unwrapFind(args: string[]): Unwrapped {
  const commands: string[][] = [];
  const writes: string[] = [];
  const flags = [];
  for (const [at, arg] of args.entries()) {
    if (/^-(exec|execdir|ok|okdir)$/.test(arg)) {
      const rest = args.slice(at + 1);
      const end = rest.findIndex((word, index) => word === ';' || (word === '+' && rest[index - 1] === '{}'));
      const command = end < 0 ? rest : rest.slice(0, end);
      commands.push(command.map((word) => word.replaceAll('{}', hole)));
      flags.push({ spell: arg, reason: `find ${arg} runs a command` });
    }
    if (/^-(fprint|fprint0|fprintf|fls)$/.test(arg)) writes.push(args[at + 1] ?? hole);
    if (arg === '-delete') flags.push({ spell: arg, reason: 'find -delete removes what it finds' });
  }
  const doubts = args.some((arg) => mayBeOptions(arg))
    ? ['what find is to do with what it finds is known to the shell alone']
    : [];
  return { commands, writes, flags, doubts };
}

function unwrapFd(args: string[]): Unwrapped {
  const at = args.findIndex((arg) => /^(-[a-zA-Z]*[xX]|--exec|--exec-batch|--exe.*)$/.test(arg));
  if (at < 0) return {};
  const flags = [{ spell: args[at] ?? null, reason: `fd ${args[at]} runs a command` }];
  return { commands: [[...args.slice(at + 1), anything]], flags };
}
