import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const waitLimitMs = 15 * 60_000;

/**
 * Runs `work` while no other set-up of this checkout runs. A holder that died is noticed by its process
 * and start time, so that neither a crash nor a reused process number blocks the next one.
 * @template T
 * @param {string} root
 * @param {(line: string) => void} say
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withSetupLock(root, say, work) {
  const folder = join(root, '.mission-control');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'setup.lock');
  await acquire(file, say);
  try {
    return await work();
  } finally {
    unlinkSync(file);
  }
}

async function acquire(file, say) {
  const deadline = Date.now() + waitLimitMs;
  for (let told = false; ; ) {
    if (create(file)) return;
    const holder = readHolder(file);
    if (holder !== null && !isAlive(holder)) {
      removeStale(file, holder);
      continue;
    }
    if (Date.now() > deadline) throw new Error(`another set-up has held ${file} for 15 minutes`);
    if (!told)
      say(`waiting for another set-up of this checkout${holder ? ` (process ${holder.split(' ')[0]})` : ''}`);
    told = true;
    await sleep(200);
  }
}

function create(file) {
  try {
    const handle = openSync(file, 'wx', 0o600);
    writeSync(handle, identity(process.pid));
    closeSync(handle);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Two waiters may both have seen the same dead holder: the file is taken aside first, which only one can do,
 * and put back if it has become another's meanwhile.
 */
function removeStale(file, holder) {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if (readHolder(aside) === holder) unlinkSync(aside);
  else renameSync(aside, file);
}

/** null while the file is gone; an empty one counts as its maker's until it is ten seconds old. */
function readHolder(file) {
  try {
    const text = readFileSync(file, 'utf8');
    if (text === '' && Date.now() - statSync(file).mtimeMs < 10_000) return null;
    return text;
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

function isAlive(holder) {
  const pid = Number.parseInt(holder, 10);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code === 'ESRCH') return false;
    if (error.code !== 'EPERM') throw error;
  }
  return identity(pid) === holder;
}

function identity(pid) {
  return `${pid} ${startTime(pid)}`;
}

/** Field 22 of /proc/PID/stat; `-` where there is no /proc. */
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '-';
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return '-';
    throw error;
  }
}
