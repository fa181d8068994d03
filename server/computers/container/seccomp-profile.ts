import {
  architectures,
  cloneNewUser,
  judgedByArgument,
  socketFamilies,
  terminalRequests,
} from '../seccomp.ts';

/** A rule of a container engine's seccomp profile: the calls `names`, where every argument compares so. */
interface Rule {
  names: string[];
  action: 'SCMP_ACT_ERRNO';
  errnoRet: number;
  args: { index: number; value: number; valueTwo: number; op: string }[];
}

export interface SeccompProfile {
  defaultAction: 'SCMP_ACT_ALLOW';
  architectures: string[];
  syscalls: Rule[];
}

const notPermitted = 1;
const notImplemented = 38;
const nativeArchitectures: Record<string, string> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };
/** Arguments are registers of 64 bits of which the kernel reads the lower half of these. */
const lowerHalf = 0xffffffff;

/**
 * The local sandbox's filter in the form of a container engine. Foreign architectures end the process, because
 * none but the native one is named.
 * @returns undefined where the architecture is none that we know: the engine's own profile holds then
 */
export function buildSeccompProfile(arch: string): SeccompProfile | undefined {
  const table = architectures[arch];
  const native = nativeArchitectures[arch];
  if (!table || !native) return undefined;
  const refused = Object.keys(table.calls).filter((name) => !judgedByArgument.has(name));
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: [native],
    syscalls: [
      rule(refused),
      ...refuseOtherFamilies(['socket', 'socketpair']),
      rule(['clone', 'unshare'], [{ index: 0, value: cloneNewUser, valueTwo: cloneNewUser, op: masked }]),
      rule(['clone3'], [], notImplemented),
      ...terminalRequests.map((request) =>
        rule(['ioctl'], [{ index: 1, value: lowerHalf, valueTwo: request, op: masked }]),
      ),
    ],
  };
}

const masked = 'SCMP_CMP_MASKED_EQ';

function rule(names: string[], args: Rule['args'] = [], errnoRet = notPermitted): Rule {
  return { names, action: 'SCMP_ACT_ERRNO', errnoRet, args };
}

/** A profile has no "none of these": so each family below the highest allowed one, and everything above it. */
function refuseOtherFamilies(names: string[]): Rule[] {
  const highest = Math.max(...socketFamilies);
  const below = Array.from({ length: highest }, (_, family) => family).filter(
    (family) => !socketFamilies.includes(family),
  );
  return [
    ...below.map((family) => rule(names, [{ index: 0, value: lowerHalf, valueTwo: family, op: masked }])),
    rule(names, [{ index: 0, value: highest, valueTwo: 0, op: 'SCMP_CMP_GT' }]),
  ];
}
