import { hole, type Unwrapped } from './segment.ts';

const shells = new Set(
  'ash bash csh dash elvish fish ksh ksh93 lksh mksh posh pwsh rbash rc sh tcsh yash zsh'.split(' '),
);

export function isShell(name: string): boolean {
  return shells.has(name.replace(/^-/, ''));
}

/**
 * `bash -c LINE` is its line. A shell that reads its commands from its input is a doubt: what comes there is
 * known only once it comes.
 */
export function unwrapShell(name: string, args: string[], readsInput: boolean): Unwrapped {
  const doubt = (reason: string): Unwrapped => ({ doubts: [reason] });
  const flags = [];
  let takesLine = false;
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (arg === '--' || arg === '-') {
      at++;
      break;
    }
    if (!/^[-+]/.test(arg)) break;
    if (arg.includes(hole)) return doubt(`how ${name} is started is known to the shell alone`);
    if (arg.startsWith('--')) {
      if (/^--(rcfile|init-file|debugger|login)/.test(arg)) {
        flags.push({ spell: null, reason: `${name} ${arg} reads commands from a file` });
        if (/^--(rcfile|init-file)$/.test(arg)) at++;
      }
      continue;
    }
    if (/c/.test(arg) && arg.startsWith('-')) takesLine = true;
    if (/[il]/.test(arg)) flags.push({ spell: null, reason: `${name} ${arg} reads its start-up files` });
    if (/s/.test(arg)) return doubt(`${name} reads its commands from its input`);
    if (/[oO]$/.test(arg)) at++;
  }
  const [first, ...rest] = args.slice(at);
  if (first === undefined) return doubt(`${name} reads its commands from its input`);
  if (takesLine) {
    const params = rest.length === 0 ? [name] : rest;
    return { lines: [{ text: first, shell: name, params }], transparent: true, flags };
  }
  if (first.includes(hole) || /^\/(dev|proc)\//.test(first) || (readsInput && first === '')) {
    return doubt(`which commands ${name} reads is known to the shell alone`);
  }
  return { flags: [...flags] };
}

/**
 * Whether a shell that is not bash could read this line as another one than bash does, and so start what bash
 * would not.
 */
export function readsOtherwise(shell: string, line: string): boolean {
  const name = shell.replace(/^-/, '');
  if (name === 'bash' || name === 'rbash') return false;
  if (!['sh', 'dash', 'ash', 'posh'].includes(name)) return true;
  return /\$['"]|\(\(|\[\[|[<>]\(|<<<|&>|\|&|[?*+@!]\(|\bfunction\b|\bcoproc\b|\bselect\b/.test(line);
}
