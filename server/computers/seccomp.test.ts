import { expect, test } from 'vitest';
import { buildSeccompProgram } from './seccomp.ts';

/** Runs a classic BPF program as the kernel would, on `struct seccomp_data`. */
function judge(program: Buffer, call: { arch: number; number: number; args?: number[] }): string {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number >>> 0, 0);
  data.writeUInt32LE(call.arch, 4);
  (call.args ?? []).forEach((value, index) => {
    data.writeUInt32LE(value >>> 0, 16 + 8 * index);
  });
  let accumulator = 0;
  for (let at = 0; at * 8 < program.length; at++) {
    const code = program.readUInt16LE(at * 8);
    const value = program.readUInt32LE(at * 8 + 4);
    const jump = (taken: boolean) => program.readUInt8(at * 8 + (taken ? 2 : 3));
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (code === 0x15) at += jump(accumulator === value);
    else if (code === 0x35) at += jump(accumulator >= value);
    else if (code === 0x45) at += jump((accumulator & value) !== 0);
    else if (code === 0x06) return value.toString(16);
    else throw new Error(`instruction ${code}`);
  }
  throw new Error('the program does not answer');
}

const [allowed, refused, killed, unknown] = ['7fff0000', '50001', '80000000', '50026'];
const machines = [
  {
    name: 'x64',
    arch: 0xc000003e,
    read: 0,
    mount: 165,
    bpf: 321,
    socket: 41,
    clone: 56,
    unshare: 272,
    ioctl: 16,
  },
  {
    name: 'arm64',
    arch: 0xc00000b7,
    read: 63,
    mount: 40,
    bpf: 280,
    socket: 198,
    clone: 220,
    unshare: 97,
    ioctl: 29,
  },
];

test.each(machines)('$name: ordinary calls pass, dangerous ones do not', (machine) => {
  const program = buildSeccompProgram(machine.name) ?? Buffer.alloc(0);
  const ask = (number: number, ...args: number[]) => judge(program, { arch: machine.arch, number, args });
  expect(ask(machine.read)).toBe(allowed);
  for (const number of [machine.mount, machine.bpf, 425, 442]) expect(ask(number)).toBe(refused);
  for (const family of [1, 2, 10, 16]) expect(ask(machine.socket, family)).toBe(allowed);
  for (const family of [0, 17, 38, 40]) expect(ask(machine.socket, family)).toBe(refused);
  expect(ask(machine.clone, 0x11)).toBe(allowed);
  expect(ask(machine.clone, 0x10000011)).toBe(refused);
  expect(ask(machine.unshare, 0x200)).toBe(allowed);
  expect(ask(machine.unshare, 0x10000000)).toBe(refused);
  expect(ask(435)).toBe(unknown);
  expect(ask(machine.ioctl, 1, 0x5401)).toBe(allowed);
  expect(ask(machine.ioctl, 1, 0x5412)).toBe(refused);
  expect(judge(program, { arch: 0x40000003, number: 1 })).toBe(killed);
});

test('x32 calls end the process; an unknown machine has no filter', () => {
  const program = buildSeccompProgram('x64') ?? Buffer.alloc(0);
  expect(judge(program, { arch: 0xc000003e, number: 0x40000001 })).toBe(killed);
  expect(buildSeccompProgram('mips')).toBeUndefined();
});
