import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLocalSandbox } from './local-sandbox.ts';
import { probeSandbox } from './probe-sandbox.ts';
import { describeSandboxContract } from './sandbox-contract.testsuite.ts';
import { openSandboxFixture } from './sandbox-fixture.ts';

const { cgroups } = await probeSandbox();

describeSandboxContract({
  name: 'local',
  open: openLocalSandbox,
  limitsWhole: cgroups !== 'none',
  missingSource: /could not be made: bwrap: .*missing/,
});

test('folders of the host are not even there', async () => {
  await using fixture = await openSandboxFixture();
  const hidden = [
    '/root',
    '/etc/shadow',
    '/var',
    '/home/user',
    '/etc/npmrc',
    '/sys',
    fixture.folder,
    process.cwd(),
  ];
  const { text } = await fixture.shell('', {
    argv: ['/bin/sh', '-c', 'for path; do ls -d "$path"; done; ls -A /run', 'sh', ...hidden],
  });
  expect(text).toBe('');
});

test.runIf(cgroups === 'v1')('no control group is left behind', async () => {
  await using fixture = await openSandboxFixture();
  await fixture.shell('true');
  const own = /memory:(.*)/.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '';
  const homes = readdirSync(join('/sys/fs/cgroup/memory', own)).filter((name) =>
    name.includes(`-${process.pid}-`),
  );
  expect(homes.length).toBeGreaterThan(0);
  for (const home of homes) {
    const groups = readdirSync(join('/sys/fs/cgroup/memory', own, home), { withFileTypes: true });
    expect(groups.filter((entry) => entry.isDirectory())).toEqual([]);
  }
});
