import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { listCgroupPlaces } from './cgroup.ts';

const there = tmpdir();

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
