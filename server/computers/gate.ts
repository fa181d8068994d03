import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { awaitEnd, childrenOf, isAlive, killProcess, type ProcessIdentity } from './processes.ts';
import { GateClosed, type Sandbox } from './sandbox.ts';

/*
 * The gate's folder holds three kinds of files, and this is the protocol:
 *
 *   token          the newest holder's token.
 *   lock           a command holds it shared from before it compares the token until its last process is dead;
 *                  a new holder takes it exclusively to write its token.
 *   process-PID    one for each command under way: its process's start time, and the token it started under.
 *
 * A new holder therefore ends the commands of the older tokens first, and then waits for the lock: once it has
 * written its token, no older command lives and none can start.
 */

/**
 * Shell lines, run by the launcher before it becomes the sandbox. They answer on descriptor 3, because an exit
 * status could be the command's own. Variables: gate (folder), token, flock (program), start (of this shell).
 */
export const gateScript = `
[ -d "$gate" ] || { echo '{"gate":"closed"}' >&3; exit 0; }
exec 9<>"$gate/lock"
"$flock" -s -w 10 9 || { echo '{"gate":"closed"}' >&3; exit 0; }
IFS= read -r current 2>/dev/null < "$gate/token" || [ -n "$current" ] || current=
if [ "$current" != "$token" ]; then echo '{"gate":"closed"}' >&3; exit 0; fi
echo "$start $token" > "$gate/process-$$"
`;

interface RecordedProcess extends ProcessIdentity {
  token: string;
  file: string;
}

/**
 * Makes `token` the folder's holder: ends what older holders still run there, then writes the token under the
 * exclusive lock. Tokens that are decimal numbers rise: one below the folder's own is refused.
 * @param options.sandbox ends what it started beyond the reach of these records
 * @throws GateClosed where the folder has a newer token; Error where the lock is not free within the limit
 */
export async function takeOver(
  folder: string,
  token: string,
  options: { limitMs: number; sandbox?: Sandbox },
): Promise<void> {
  if (!/^[\w:.-]{1,200}$/.test(token)) throw new TypeError('a token is 1 to 200 letters, digits or _ : . -');
  const deadline = performance.now() + options.limitMs;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (isOlder(token, await readToken(folder))) throw new GateClosed(folder);
  do {
    await endOlderProcesses(folder, token);
    // A command that passed the gate a moment ago may have recorded itself only now: hence short tries.
    const tryMs = Math.max(1, Math.min(200, deadline - performance.now()));
    const outcome = await writeToken(folder, token, tryMs);
    if (outcome === 'newer') throw new GateClosed(folder);
    if (outcome === 'written') {
      await options.sandbox?.endOlder?.({ folder, token });
      return;
    }
  } while (performance.now() < deadline);
  throw new Error(`the lock of ${folder} was not free within ${options.limitMs} ms`);
}

/** Forgets a command that has ended. */
export async function forgetProcess(folder: string, pid: number): Promise<void> {
  await rm(join(folder, `process-${pid}`), { force: true });
}

async function endOlderProcesses(folder: string, token: string): Promise<void> {
  const older = (await readRecorded(folder)).filter((process) => !isOlder(token, process.token));
  const alive = older.filter(isAlive);
  // The namespace's first process is our process's child; when that is gone, all of the namespace is.
  const trees = alive.flatMap((process) => [process, ...childrenOf(process.pid)]);
  for (const process of trees) killProcess(process);
  await awaitEnd(trees);
  for (const { file } of older) await rm(file, { force: true });
}

async function readRecorded(folder: string): Promise<RecordedProcess[]> {
  const recorded: RecordedProcess[] = [];
  for (const name of await readdir(folder)) {
    const pid = /^process-(\d+)$/.exec(name)?.[1];
    if (!pid) continue;
    const file = join(folder, name);
    const [start = '', token = ''] = (await readIfThere(file)).trim().split(' ');
    if (start && token) recorded.push({ pid: Number(pid), start, token, file });
  }
  return recorded;
}

/** Compares once more under the lock: between the first look and now, a newer holder may have come. */
async function writeToken(folder: string, token: string, limitMs: number) {
  const script = `
IFS= read -r current < "$1/token" || :
case "$current$2" in *[!0-9]*|'') ;; *) [ -n "$current" ] && [ "$current" -gt "$2" ] && exit 4 ;; esac
printf '%s\\n' "$2" > "$1/token.new" && mv -f "$1/token.new" "$1/token"`;
  const seconds = (limitMs / 1000).toFixed(3);
  const child = spawn(
    'flock',
    ['-x', '-w', seconds, '-E', '5', join(folder, 'lock'), '/bin/sh', '-c', script, 'sh', folder, token],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text.slice(0, 1000);
  });
  const [code] = await once(child, 'close');
  if (code === 0) return 'written';
  if (code === 4) return 'newer';
  if (code === 5) return 'locked';
  throw new Error(`the token of ${folder} could not be written: ${complaint.trim()}`);
}

const readToken = async (folder: string) => (await readIfThere(join(folder, 'token'))).trim();

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

export const isNewer = (token: string, than: string) => isOlder(than, token);

/** Only decimal tokens have an order. */
function isOlder(token: string, than: string): boolean {
  return /^\d+$/.test(token) && /^\d+$/.test(than) && BigInt(token) < BigInt(than);
}
