import { expect, test } from 'vitest';
import { refusal } from './local-sandbox.ts';
import { findMend, probeSandbox } from './probe-sandbox.ts';

test('this machine is described', async () => {
  const report = await probeSandbox();
  expect(report).toMatchObject({ available: true, seccomp: true, problem: undefined, mend: undefined });
  expect(report.bubblewrap?.version).toMatch(/^bubblewrap \d/);
});

test.each([
  ['/proc/sys/kernel/unprivileged_userns_clone', '0', 'sysctl -w kernel.unprivileged_userns_clone=1'],
  [
    '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    '1',
    'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  ],
  ['/proc/sys/user/max_user_namespaces', '0', 'sysctl -w user.max_user_namespaces=15000'],
])('where %s is %s, the mending line is %s', (setting, value, line) => {
  expect(findMend((path) => (path === setting ? value : undefined))).toBe(line);
  expect(findMend((path) => (path === setting ? '7' : undefined))).toBeUndefined();
});

test('a refusal names the line that mends it', () => {
  const report = {
    available: false,
    bubblewrap: undefined,
    flock: undefined,
    seccomp: true,
    cgroups: 'none' as const,
  };
  const error = refusal({
    ...report,
    problem: 'bubblewrap is not installed',
    mend: 'apt-get install -y bubblewrap',
  });
  expect(error).toMatchObject({
    code: 'sandbox_unavailable',
    detail: { mend: 'apt-get install -y bubblewrap' },
  });
  expect(error.message).toBe('bubblewrap is not installed; as root: apt-get install -y bubblewrap');
});
