import { expect, test } from 'vitest';
import { architectures, judgedByArgument, socketFamilies } from '../seccomp.ts';
import { buildSeccompProfile, type SeccompProfile } from './seccomp-profile.ts';

/** What a filter made of the profile answers: the first rule whose arguments all compare. */
function judge(profile: SeccompProfile, name: string, args: number[] = []): number {
  const compare = {
    SCMP_CMP_MASKED_EQ: masked,
    SCMP_CMP_GT: (given: number, value: number) => given > value,
  };
  const rule = profile.syscalls.find(
    ({ names, args: wanted }) =>
      names.includes(name) &&
      wanted.every(({ index, value, valueTwo, op }) => {
        if (op !== 'SCMP_CMP_MASKED_EQ' && op !== 'SCMP_CMP_GT') throw new Error(op);
        return compare[op](args[index] ?? 0, value, valueTwo);
      }),
  );
  return rule?.errnoRet ?? 0;
}

function masked(given: number, mask: number, wanted: number): boolean {
  return (BigInt(given) & BigInt(mask)) === BigInt(wanted);
}

test.each(['x64', 'arm64'])('%s: the engine’s filter refuses what the local one refuses', (arch) => {
  const profile = buildSeccompProfile(arch);
  if (profile === undefined) throw new Error('there is no profile');
  expect(judge(profile, 'read')).toBe(0);
  for (const name of Object.keys(architectures[arch]?.calls ?? {})) {
    if (!judgedByArgument.has(name)) expect([name, judge(profile, name)]).toEqual([name, 1]);
  }
  for (let family = 0; family < 64; family++) {
    const refused = socketFamilies.includes(family) ? 0 : 1;
    expect([family, judge(profile, 'socket', [family])]).toEqual([family, refused]);
  }
  expect(judge(profile, 'clone', [0x11])).toBe(0);
  expect(judge(profile, 'clone', [0x10000011])).toBe(1);
  expect(judge(profile, 'unshare', [0x10000000])).toBe(1);
  expect(judge(profile, 'clone3')).toBe(38);
  expect(judge(profile, 'ioctl', [1, 0x5401])).toBe(0);
  expect(judge(profile, 'ioctl', [1, 0x5412])).toBe(1);
  expect(judge(profile, 'ioctl', [1, 0x100005412])).toBe(1);
});

test('an unknown machine has none', () => {
  expect(buildSeccompProfile('mips')).toBeUndefined();
});
