import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type CgroupPlace, canLimit, createGroup, listCgroupPlaces } from './cgroup.ts';

const there = mkdtempSync(join(tmpdir(), 'cgroup-test-'));
afterAll(() => rmSync(there, { recursive: true }));

test('version 1: our own group, else the root of the controller’s mount', () => {
  const mounts = `cgroup ${there} cgroup rw,memory 0 0\ncgroup ${there} cgroup rw,pids 0 0`;
  expect(listCgroupPlaces('4:memory:/no/such/group\n8:pids:/\n', mounts)).toEqual([
    { version: 'v1', memory: there, pids: there },
  ]);
  expect(listCgroupPlaces('4:memory:/\n', `cgroup ${there} cgroup rw,memory 0 0`)).toEqual([]);
});

test('version 2: our own group first, then those above it up to the mount', () => {
  const places = listCgroupPlaces('0::/user.slice/app.slice\n', 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0');
  expect(places.map(({ version, memory }) => `${version} ${memory}`)).toEqual([
    'v2 /sys/fs/cgroup/user.slice/app.slice',
    'v2 /sys/fs/cgroup/user.slice',
    'v2 /sys/fs/cgroup',
  ]);
});

const limits = { memoryBytes: 2 ** 28, processes: 40 };

describe('version 2, on a tree of ordinary files', () => {
  let count = 0;
  /** A group as the kernel shows it to whoever may make others in it. */
  function makeTree(passedOn = 'cpu memory pids'): CgroupPlace {
    const root = join(there, `root-${++count}`);
    mkdirSync(root);
    writeFileSync(join(root, 'cgroup.subtree_control'), `${passedOn}\n`);
    return { version: 'v2', memory: root, pids: root };
  }
  /** The kernel makes the files of a group with its folder. */
  function makeGroup({ memory }: CgroupPlace, name: string, files: Record<string, string>): string {
    const folder = join(memory, name);
    mkdirSync(folder, { recursive: true });
    for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content);
    return folder;
  }

  test('the server’s group passes its controllers on, and a command’s has the limits', () => {
    const place = makeTree();
    const group = createGroup(place, 'server/1', limits);
    const read = (file: string) => readFileSync(join(place.memory, 'server', file), 'utf8');
    expect(read('cgroup.subtree_control')).toBe('+memory +pids');
    expect([read('1/memory.max'), read('1/pids.max')]).toEqual([`${2 ** 28}`, '42']);
    expect(readdirSync(join(place.memory, 'server/1')).sort()).toEqual(['memory.max', 'pids.max']);
    expect(group.joinFiles).toEqual([join(place.memory, 'server/1/cgroup.procs')]);
  });

  test('swap is taken away where the kernel counts it', () => {
    const place = makeTree();
    const folder = makeGroup(place, 'server/1', { 'memory.swap.max': 'max' });
    createGroup(place, 'server/1', limits);
    expect(readFileSync(join(folder, 'memory.swap.max'), 'utf8')).toBe('0');
  });

  test('the end for want of memory is told by the group’s own count', () => {
    const place = makeTree();
    const events = (killed: number) => `low 0\nhigh 0\nmax 3\noom 1\noom_kill ${killed}\noom_group_kill 0\n`;
    makeGroup(place, 'server/1', { 'memory.events': events(0) });
    const group = createGroup(place, 'server/1', limits);
    expect(group.ranOutOfMemory()).toBe(false);
    makeGroup(place, 'server/1', { 'memory.events': events(2) });
    expect(group.ranOutOfMemory()).toBe(true);
  });

  test('a group is removed once it is empty, and twice without harm', async () => {
    const place = makeTree();
    const group = createGroup(place, 'server/1', limits);
    const folder = join(place.memory, 'server/1');
    for (const file of readdirSync(folder)) rmSync(join(folder, file));
    await group.remove();
    expect(existsSync(folder)).toBe(false);
    await group.remove();
  });

  test('a place that does not pass both controllers on is none', async () => {
    expect(await canLimit(makeTree('memory'))).toBe(false);
    expect(await canLimit(makeTree(''))).toBe(false);
    expect(await canLimit({ version: 'v2', memory: join(there, 'none'), pids: join(there, 'none') })).toBe(
      false,
    );
  });
});
