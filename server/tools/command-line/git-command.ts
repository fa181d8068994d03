import { isLongOption, valueAfter } from './options.ts';
import { type Flag, hole, mayBeWords, type Unwrapped } from './segment.ts';

const optionsWithValue = new Set([
  '-C',
  '-c',
  '--git-dir',
  '--work-tree',
  '--namespace',
  '--config-env',
  '--super-prefix',
  '--attr-source',
  '--list-cmds',
]);

/** Settings that start nothing, whatever their value. */
const harmlessSetting =
  /^(user\.(name|email)|color\..*|column\..*|advice\..*|core\.(quotepath|autocrlf|eol|abbrev|filemode|ignorecase|safecrlf|symlinks)|diff\.(renames|renamelimit|noprefix|mnemonicprefix|algorithm|context)|log\.\w+|init\.defaultbranch|commit\.gpgsign|tag\.gpgsign|protocol\.version|gc\.auto|pull\.(rebase|ff)|push\.default|merge\.(ff|conflictstyle|renames)|status\.\w+|fetch\.prune|http\.postbuffer|rerere\.enabled)$/i;

/** git's own commands; any other name may be an alias, and so any command. */
const own = new Set(
  `add am annotate apply archive bisect blame branch bundle cat-file check-attr check-ignore check-mailmap check-ref-format
   checkout checkout-index cherry cherry-pick clean clone column commit commit-graph commit-tree config count-objects credential
   describe diff diff-files diff-index diff-tree difftool fast-export fast-import fetch fetch-pack filter-branch fmt-merge-msg
   for-each-ref format-patch fsck gc get-tar-commit-id grep gui hash-object help hook index-pack init interpret-trailers log
   ls-files ls-remote ls-tree mailinfo mailsplit maintenance merge merge-base merge-file merge-index merge-tree mergetool mktag
   mktree mv name-rev notes pack-objects pack-refs patch-id prune pull push range-diff read-tree rebase reflog remote repack
   replace request-pull rerere reset restore rev-list rev-parse revert rm send-email send-pack shortlog show show-branch
   show-index show-ref sparse-checkout stash status submodule subtree switch symbolic-ref tag unpack-objects update-index
   update-ref var verify-commit verify-pack verify-tag version whatchanged worktree write-tree lfs`
    .split(/\s+/)
    .filter(Boolean),
);

/** Long options that start a program, on any of git's commands; git takes them shortened. */
const runningOptions = [
  'upload-pack',
  'receive-pack',
  'exec',
  'ext-diff',
  'textconv',
  'open-files-in-pager',
  'extcmd',
  'tool',
  'template',
  'config',
  'editor',
  'gpg-sign',
  'tree-filter',
  'index-filter',
  'msg-filter',
  'env-filter',
  'commit-filter',
  'parent-filter',
  'tag-name-filter',
  'smtp-server',
  'to-cmd',
  'cc-cmd',
  'sendmail-cmd',
  'remote',
  'vcs',
];
const shadowedExactly = new Set([
  '--text',
  '--to',
  '--re',
  '--remote-only',
  '--cc',
  '--ex',
  '--in',
  '--index',
  '--mes',
  '--env',
  '--recurse-submodules',
]);

export function unwrapGit(args: string[]): Unwrapped {
  const flags: Flag[] = [];
  const commands: string[][] = [];
  const lines: NonNullable<Unwrapped['lines']> = [];
  const writes: string[] = [];
  const doubts: string[] = [];
  const flag = (spell: string | null, reason: string) => flags.push({ spell, reason });
  const line = (text: string) => lines.push({ text, shell: 'sh', params: null });
  let isPlain = true;
  let at = 0;
  for (; at < args.length && args[at]?.startsWith('-'); at++) {
    const arg = args[at] ?? '';
    if (arg === '-c' || arg.startsWith('--config-env')) {
      const [name = '', ...value] = (arg === '-c' ? (args[at + 1] ?? '') : valueAfter(args, at)).split('=');
      if (!harmlessSetting.test(name) || name.includes(hole)) {
        isPlain = false;
        flag(arg === '-c' ? `-c ${name}` : null, `git ${arg} ${name} can make git run a program`);
        const text = value.join('=');
        if (/^alias\./i.test(name) && text !== '') {
          if (text.startsWith('!')) line(text.slice(1));
          else commands.push(['git', ...text.split(/\s+/)]);
        } else if (text !== '') line(text.replace(/^!/, ''));
      }
    } else if (/^--exec-path=|^(-p|--paginate)$|^--html-path|^--git-dir|^--work-tree/.test(arg)) {
      isPlain = false;
      flag(arg.split('=', 1)[0] ?? null, `git ${arg.split('=', 1)[0]} changes what git runs, or on what`);
    } else if (arg.includes(hole)) {
      doubts.push('which options git is given is known to the shell alone');
    }
    if (optionsWithValue.has(arg) && mayBeWords(args[++at] ?? ''))
      doubts.push('which options git is given is known to the shell alone');
  }
  const [subcommand = '', ...rest] = args.slice(at);
  if (subcommand !== '' && !subcommand.includes(hole) && !own.has(subcommand)) {
    flag(subcommand, `git ${subcommand} is no command of git's own: an alias may run anything`);
  }
  for (const [index, arg] of rest.entries()) {
    const long = shadowedExactly.has(arg) ? null : isLongOption(arg, runningOptions);
    if (long !== null) {
      flag(arg.split('=', 1)[0] ?? null, `git ${subcommand} --${long} can run a program`);
      line(valueAfter(rest, index));
    }
    if (isLongOption(arg, ['output'], 3) === 'output' && !/^--output-/.test(arg)) {
      flag(arg.split('=', 1)[0] ?? null, `git ${subcommand} ${arg} writes a file`);
      writes.push(valueAfter(rest, index));
    }
    if (/^ext::|^fd::/.test(arg)) {
      flag('ext::', 'a remote that begins with ext:: is a command');
      line(arg.replace(/^ext::/, ''));
    }
  }
  readSubcommand(subcommand, rest, { flag, line, commands });
  const plain = isPlain && at > 0 ? { plain: ['git', subcommand, ...rest] } : {};
  return {
    commands,
    lines,
    flags,
    writes,
    doubts,
    ...plain,
    perhaps: at > 0 ? [['git', subcommand, ...rest]] : [],
  };
}

interface Found {
  flag: (spell: string | null, reason: string) => void;
  line: (text: string) => void;
  commands: string[][];
}

/** Commands of git's whose arguments are, or become, commands. */
function readSubcommand(name: string, rest: string[], { flag, line, commands }: Found): void {
  const operands = rest.filter((arg) => !arg.startsWith('-'));
  const short = (letter: string) => rest.find((arg) => new RegExp(`^-\\w*${letter}`).test(arg));
  const says = (letter: string) => {
    const found = short(letter);
    if (found === undefined) return;
    flag(found, `git ${name} ${found} can run a program`);
    line(found.length > 2 ? found.slice(2) : (rest[rest.indexOf(found) + 1] ?? ''));
  };
  if (['clone', 'fetch', 'ls-remote', 'pull', 'fetch-pack'].includes(name)) says('u');
  if (name === 'clone') says('c');
  if (name === 'rebase') says('x');
  if (name === 'grep') says('O');
  if (name === 'difftool' || name === 'mergetool') flag(name, `git ${name} runs another program`);
  if (name === 'bisect' && operands[0] === 'run') {
    flag('bisect run', 'git bisect run runs a command');
    commands.push(rest.slice(rest.indexOf('run') + 1));
  }
  if (name === 'submodule' && operands[0] === 'foreach') {
    flag('submodule foreach', 'git submodule foreach runs a command');
    line(
      rest
        .slice(rest.indexOf('foreach') + 1)
        .filter((arg) => !/^--?\w/.test(arg))
        .join(' '),
    );
  }
  if (['filter-branch', 'send-email', 'hook', 'gui', 'daemon', 'instaweb', 'lfs'].includes(name)) {
    flag(name, `git ${name} runs other programs`);
  }
  const reads = rest.some((arg) => /^--(get|list|unset|show)/.test(arg) || arg === '-l');
  if (name === 'config' && !reads && operands.length > 1 && !harmlessSetting.test(operands[0] ?? '')) {
    flag(`config ${operands[0]}`, `git config ${operands[0]} can make later commands run a program`);
    line(operands.slice(1).join(' ').replace(/^!/, ''));
  }
  if (name === 'remote' && ['add', 'set-url'].includes(operands[0] ?? '')) {
    if (/::/.test(operands.at(-1) ?? '')) flag('::', 'the address of this remote is a command');
  }
}
