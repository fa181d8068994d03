/**
 * The system calls that no command needs and that widen the kernel's attack surface: mounting, tracing, keys,
 * kernel modules, new user namespaces, rare socket families, io_uring. They fail with EPERM; a foreign
 * architecture or the x32 interface ends the process. `clone3` answers ENOSYS, because a filter cannot see its
 * flags and libc then falls back to `clone`, whose flags it can.
 */

interface Architecture {
  audit: number;
  /** Present where the architecture has x32, whose calls carry this bit. */
  x32Bit?: number;
  calls: Record<string, number>;
}

/** The calls that have one number on every architecture (those added since 2019, and io_uring). */
const sharedCalls = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  mount_setattr: 442,
};

export const architectures: Record<string, Architecture> = {
  x64: {
    audit: 0xc000003e,
    x32Bit: 0x40000000,
    calls: {
      ...sharedCalls,
      ioctl: 16,
      socket: 41,
      socketpair: 53,
      clone: 56,
      ptrace: 101,
      syslog: 103,
      uselib: 134,
      pivot_root: 155,
      adjtimex: 159,
      chroot: 161,
      acct: 163,
      settimeofday: 164,
      mount: 165,
      umount2: 166,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      iopl: 172,
      ioperm: 173,
      init_module: 175,
      delete_module: 176,
      quotactl: 179,
      clock_settime: 227,
      kexec_load: 246,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      unshare: 272,
      perf_event_open: 298,
      open_by_handle_at: 304,
      clock_adjtime: 305,
      setns: 308,
      process_vm_readv: 310,
      process_vm_writev: 311,
      finit_module: 313,
      kexec_file_load: 320,
      bpf: 321,
      userfaultfd: 323,
      clone3: 435,
    },
  },
  arm64: {
    audit: 0xc00000b7,
    calls: {
      ...sharedCalls,
      ioctl: 29,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      chroot: 51,
      quotactl: 60,
      acct: 89,
      unshare: 97,
      kexec_load: 104,
      init_module: 105,
      delete_module: 106,
      clock_settime: 112,
      syslog: 116,
      ptrace: 117,
      reboot: 142,
      settimeofday: 170,
      adjtimex: 171,
      socket: 198,
      socketpair: 199,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      clone: 220,
      swapon: 224,
      swapoff: 225,
      perf_event_open: 241,
      open_by_handle_at: 265,
      clock_adjtime: 266,
      setns: 268,
      process_vm_readv: 270,
      process_vm_writev: 271,
      finit_module: 273,
      bpf: 280,
      userfaultfd: 282,
      kexec_file_load: 294,
      clone3: 435,
    },
  },
};

/** Judged by an argument; every other call of the table is refused whatever its arguments. */
export const judgedByArgument = new Set(['ioctl', 'socket', 'socketpair', 'clone', 'clone3', 'unshare']);

export const cloneNewUser = 0x10000000;
/** UNIX, INET, INET6, NETLINK. Everything else (VSOCK, PACKET, ALG, BLUETOOTH …) reaches odd kernel code. */
export const socketFamilies = [1, 2, 10, 16];
/** TIOCSTI and TIOCLINUX type into a terminal on the caller's behalf. */
export const terminalRequests = [0x5412, 0x541c];

const allow = 0x7fff0000;
const killProcess = 0x80000000;
const failWith = (errno: number) => 0x00050000 | errno;
const refuse = failWith(1);
const notImplemented = failWith(38);

const loadWord = 0x20;
const jumpIfEqual = 0x15;
const jumpIfAtLeast = 0x35;
const jumpIfBits = 0x45;
const answer = 0x06;
const numberOffset = 0;
const architectureOffset = 4;
const argumentOffset = (index: number) => 16 + 8 * index;

type Instruction = [code: number, ifTrue: number, ifFalse: number, value: number];

/**
 * The classic BPF program for an architecture, as `bwrap --seccomp` reads it.
 * @returns undefined where the architecture is none that we know; no filter is better than a wrong one
 */
export function buildSeccompProgram(arch: string): Buffer | undefined {
  const table = architectures[arch];
  if (!table) return undefined;
  const program: Instruction[] = [
    [loadWord, 0, 0, architectureOffset],
    [jumpIfEqual, 1, 0, table.audit],
    [answer, 0, 0, killProcess],
    [loadWord, 0, 0, numberOffset],
  ];
  if (table.x32Bit) program.push([jumpIfAtLeast, 0, 1, table.x32Bit], [answer, 0, 0, killProcess]);
  for (const [name, number] of Object.entries(table.calls)) {
    if (!judgedByArgument.has(name)) program.push(...whenCall(number, [[answer, 0, 0, refuse]]));
  }
  const call = (name: string) => table.calls[name] ?? -1;
  for (const name of ['socket', 'socketpair']) program.push(...whenCall(call(name), onlyFamilies()));
  program.push(
    ...whenCall(call('clone'), refuseBits(0, cloneNewUser)),
    ...whenCall(call('unshare'), refuseBits(0, cloneNewUser)),
    ...whenCall(call('clone3'), [[answer, 0, 0, notImplemented]]),
    ...whenCall(call('ioctl'), refuseValues(1, terminalRequests)),
    [answer, 0, 0, allow],
  );
  return encode(program);
}

/** Runs `body`, which must always answer, for one system call; falls through for the others. */
function whenCall(number: number, body: Instruction[]): Instruction[] {
  return [[jumpIfEqual, 0, body.length, number], ...body];
}

function refuseBits(index: number, bits: number): Instruction[] {
  return [
    [loadWord, 0, 0, argumentOffset(index)],
    [jumpIfBits, 0, 1, bits],
    [answer, 0, 0, refuse],
    [answer, 0, 0, allow],
  ];
}

function refuseValues(index: number, values: number[]): Instruction[] {
  return [
    [loadWord, 0, 0, argumentOffset(index)],
    ...values.flatMap((value): Instruction[] => [
      [jumpIfEqual, 0, 1, value],
      [answer, 0, 0, refuse],
    ]),
    [answer, 0, 0, allow],
  ];
}

function onlyFamilies(): Instruction[] {
  return [
    [loadWord, 0, 0, argumentOffset(0)],
    ...socketFamilies.flatMap((family): Instruction[] => [
      [jumpIfEqual, 0, 1, family],
      [answer, 0, 0, allow],
    ]),
    [answer, 0, 0, refuse],
  ];
}

/** `struct sock_filter`: 16 bits of code, two 8-bit jumps, a 32-bit value, in the machine's (little) order. */
function encode(program: Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, ifTrue, ifFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  });
  return bytes;
}
