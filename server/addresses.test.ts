import { expect, test } from 'vitest';
import { isPrivateName, judgeAddress, readAuthority, readHost } from './addresses.ts';

test.each([
  '127.1',
  '2130706433',
  '0177.0.0.1',
  '0x7f.0.0.1',
  '0x7f000001',
  '127.0.0.1.',
  '127.0.0.01',
  '1.2.3.4.5',
  '256.1.1.1',
  'evil\0.allowed.com',
  'allowed.com.',
  'user@allowed.com',
  'allowed.com%00',
  'allowed%2ecom',
  'al lowed.com',
  'allowed.com\n',
  'аllowed.com',
  'allowed。com',
  '-allowed.com',
  'allowed..com',
  '',
  '[fe80::1%25eth0]',
  'fe80::1%eth0',
  '[::ffff:127.1]',
  '[::1',
  '1::2::3',
  `${'a'.repeat(64)}.com`,
])('%j is refused, not interpreted', (host) => {
  expect(readHost(host).kind).toBe('refused');
});

test('plain hosts are read as they are', () => {
  expect(readHost('API.Example.com')).toEqual({ kind: 'name', name: 'api.example.com' });
  expect(readHost('127.evil.com')).toEqual({ kind: 'name', name: '127.evil.com' });
  expect(readHost('xn--bcher-kva.example')).toMatchObject({ kind: 'name' });
  expect(readHost('93.184.216.34')).toEqual({ kind: 'address', address: '93.184.216.34' });
  expect(readHost('[2606:2800:220:1::1]')).toEqual({ kind: 'address', address: '2606:2800:220:1:0:0:0:1' });
  expect(readAuthority('example.com:443')).toEqual({
    host: { kind: 'name', name: 'example.com' },
    port: 443,
  });
  for (const text of ['example.com', 'example.com:0', 'example.com:99999', 'a:b:1', 'example.com:44 3'])
    expect(readAuthority(text)?.host.kind ?? 'none', text).not.toBe('name');
});

test.each([
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '100.100.100.200',
  '127.0.0.1',
  '168.63.129.16',
  '169.254.169.254',
  '172.31.255.255',
  '192.0.0.192',
  '192.168.0.1',
  '198.19.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::7f00:1',
  '::ffff:127.0.0.1',
  '::ffff:a9fe:a9fe',
  '64:ff9b::10.0.0.1',
  '64:ff9b:1::1',
  '2002:7f00:1::',
  '2001:0:4136:e378:8000:63bf:3fff:fdd2',
  '2001:db8::1',
  'fe80::1',
  'fec0::1',
  'fd00:ec2::254',
  'ff02::1',
  '4000::1',
  'nonsense',
])('nothing connects to %s', (address) => {
  expect(judgeAddress(address)).not.toBeNull();
});

test.each(['1.1.1.1', '100.63.0.1', '172.32.0.1', '2606:4700::1111', '::ffff:1.1.1.1', '64:ff9b::1.1.1.1'])(
  '%s is public',
  (address) => {
    expect(judgeAddress(address)).toBeNull();
  },
);

test('names of this machine and network are told', () => {
  expect(
    ['localhost', 'a.localhost', 'metadata.google.internal', 'printer.local', 'router'].every(isPrivateName),
  ).toBe(true);
  expect(isPrivateName('internal.example.com')).toBe(false);
});
