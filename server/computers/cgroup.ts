import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identifyProcess, processNamespace, sendKill } from './processes.ts';

/** Where groups can be made: one folder for version 2; one for each controller for version 1. */
export interface CgroupPlace {
  version: 'v1' | 'v2';
  memory: string;
  pids: string;
}

export interface CgroupLimits {
  memoryBytes: number;
  processes: number;
}

/** The group of one command. */
export interface Cgroup {
  /** A process joins by writing `0` to each. */
  joinFiles: string[];
  ranOutOfMemory(): boolean;
  /** Ends what is left in it, and removes it. */
  remove(): Promise<void>;
}

const prefix = 'mission-control';
/** bwrap itself: its monitor and the namespace's first process. */
const ownProcesses = 2;
const removeLimitMs = 3_000;

/**
 * The folders in which this process could make groups, best first; none of them is tried yet.
 * Groups are made below our own group where possible, so that a limit set on the server holds for its commands.
 * @param ownGroups content of /proc/self/cgroup; mounts: content of /proc/self/mounts
 */
export function listCgroupPlaces(ownGroups: string, mounts: string): CgroupPlace[] {
  const mounted = mounts.split('\n').map((line) => line.split(' '));
  const groups = ownGroups.split('\n').map((line) => {
    const [, controllers = '', ...path] = line.split(':');
    return { controllers: controllers.split(','), path: path.join(':') };
  });
  const candidates = (controller: string): string[] => {
    const mount = mounted.find(
      ([, , type, options]) => type === 'cgroup' && options?.split(',').includes(controller),
    )?.[1];
    const own = groups.find(({ controllers }) => controllers.includes(controller))?.path;
    // In a container the path may be the host's, and only the mount's root exists here.
    return mount ? [join(mount, own === '/' ? '' : (own ?? '')), mount] : [];
  };
  const places: CgroupPlace[] = [];
  const [memory, pids] = [candidates('memory'), candidates('pids')].map((paths) => paths.find(existsSync));
  if (memory && pids) places.push({ version: 'v1', memory, pids });
  const unified = mounted.find(([, , type]) => type === 'cgroup2')?.[1];
  const own = groups.find(({ controllers }) => controllers[0] === '')?.path ?? '/';
  if (unified) {
    for (let folder = join(unified, own); folder.startsWith(unified); folder = dirname(folder)) {
      places.push({ version: 'v2', memory: folder, pids: folder });
    }
  }
  return places;
}

/** Finds a place where limits can be enforced, by trying; ends and removes the groups of dead servers there. */
export async function openCgroups(): Promise<((limits: CgroupLimits) => Cgroup) | undefined> {
  const found = await findCgroupPlace();
  if (!found) return undefined;
  await sweep(found);
  const home = serverFolder();
  let count = 0;
  return (limits) => createGroup(found, join(home, `${++count}`), limits);
}

/** The place where limits can be enforced; undefined where there is none. */
export async function findCgroupPlace(): Promise<CgroupPlace | undefined> {
  const places = listCgroupPlaces(
    readFileSync('/proc/self/cgroup', 'utf8'),
    readFileSync('/proc/self/mounts', 'utf8'),
  );
  for (const place of places) if (await canLimit(place)) return place;
  return undefined;
}

/** Whether a group made there holds a process within its limits; found out by making one. */
export async function canLimit(place: CgroupPlace): Promise<boolean> {
  try {
    if (place.version === 'v2') {
      const passedOn = readFileSync(join(place.memory, 'cgroup.subtree_control'), 'utf8').trim().split(' ');
      if (!passedOn.includes('memory') || !passedOn.includes('pids')) return false;
    }
    const group = createGroup(place, join(serverFolder(), 'probe'), { memoryBytes: 2 ** 26, processes: 8 });
    try {
      const script = 'for file; do echo 0 > "$file" || exit 1; done';
      const child = spawn('/bin/sh', ['-c', script, 'sh', ...group.joinFiles], { stdio: 'ignore' });
      const [code] = await once(child, 'close');
      return code === 0;
    } finally {
      await group.remove();
    }
  } catch (error) {
    // Every refusal of the kernel here means the same: not at this place.
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

export function createGroup(place: CgroupPlace, name: string, limits: CgroupLimits): Cgroup {
  const [memory, pids] = [join(place.memory, name), join(place.pids, name)];
  const folders = [...new Set([memory, pids])];
  if (place.version === 'v2') passControllersOn(place, dirname(name));
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  const write = (folder: string, file: string, value: string | number) =>
    writeFileSync(join(folder, file), `${value}`);
  write(pids, 'pids.max', limits.processes + ownProcesses);
  if (place.version === 'v1') {
    write(memory, 'memory.limit_in_bytes', limits.memoryBytes);
    // Absent where the kernel does not account for swap: then there is nothing more to limit.
    if (existsSync(join(memory, 'memory.memsw.limit_in_bytes'))) {
      write(memory, 'memory.memsw.limit_in_bytes', limits.memoryBytes);
    }
  } else {
    write(memory, 'memory.max', limits.memoryBytes);
    if (existsSync(join(memory, 'memory.swap.max'))) write(memory, 'memory.swap.max', 0);
  }
  const killsFile = join(memory, place.version === 'v1' ? 'memory.oom_control' : 'memory.events');
  return {
    joinFiles: folders.map((folder) => join(folder, 'cgroup.procs')),
    ranOutOfMemory: () => !/^oom_kill 0$/m.test(readFileSync(killsFile, 'utf8')),
    remove: () => removeGroups(folders),
  };
}

/** In version 2 a group limits its children only by the controllers that its parent passes on. */
function passControllersOn(place: CgroupPlace, home: string): void {
  const folder = join(place.memory, home);
  if (existsSync(folder)) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cgroup.subtree_control'), '+memory +pids');
}

async function removeGroups(folders: string[]): Promise<void> {
  const deadline = performance.now() + removeLimitMs;
  for (const folder of folders) {
    for (let pause = 1; !tryRemove(folder); pause = Math.min(2 * pause, 50)) {
      if (performance.now() > deadline) throw new Error(`the control group ${folder} does not empty`);
      const processes = unlessGone(() => readFileSync(join(folder, 'cgroup.procs'), 'utf8')) ?? '';
      for (const pid of processes.split('\n')) {
        // A number 0 is a process that our own namespace cannot see; it must never be signalled.
        if (Number(pid) > 0) sendKill(Number(pid));
      }
      await delay(pause);
    }
  }
}

function tryRemove(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    if (error.code === 'ENOENT') return true;
    if (error.code === 'EBUSY') return false;
    throw error;
  }
}

/** Names the server that owns the groups inside: its namespace of processes, number and birth. */
function serverFolder(): string {
  const start = identifyProcess(process.pid)?.start ?? '0';
  return `${prefix}-${processNamespace()}-${process.pid}-${start}`;
}

async function sweep(place: CgroupPlace): Promise<void> {
  const pattern = new RegExp(`^${prefix}-${processNamespace()}-(\\d+)-(\\d+)$`);
  for (const base of new Set([place.memory, place.pids])) {
    for (const name of readdirSync(base)) {
      const [, pid, start] = pattern.exec(name) ?? [];
      if (!pid || identifyProcess(Number(pid))?.start === start) continue;
      // Another server that starts now may sweep the same.
      const entries = unlessGone(() => readdirSync(join(base, name), { withFileTypes: true })) ?? [];
      const groups = entries.filter((entry) => entry.isDirectory());
      await removeGroups([...groups.map((entry) => join(base, name, entry.name)), join(base, name)]);
    }
  }
}

/** What `read` gives; undefined where the group was removed meanwhile: it is gone, or goes while it is read. */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV'))
      return undefined;
    throw error;
  }
}
