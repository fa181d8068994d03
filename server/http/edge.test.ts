import { expect, test } from 'vitest';
import { Edge } from './edge.ts';

const settings = { host: '127.0.0.1', publicUrl: null, tls: null, trustedProxies: [] };
const tls = { certificate: '/a', key: '/b' };

test.each([
  { host: '127.0.0.1' },
  { host: '127.1.2.3' },
  { host: '::1' },
  { host: 'localhost' },
  { host: '0.0.0.0', tls },
  { host: '0.0.0.0', trustedProxies: ['10.0.0.0/8'] },
])('keys are safe on %j', (more) => {
  expect(() => new Edge({ ...settings, ...more })).not.toThrow();
});

test.each(['0.0.0.0', '::', '192.168.1.7', 'mission.example'])('%s alone is refused', (host) => {
  expect(() => new Edge({ ...settings, host })).toThrow(/in the clear.*MISSION_TRUSTED_PROXIES/);
});

test('only named proxies are believed, in every spelling of their address', () => {
  const edge = new Edge({ ...settings, trustedProxies: ['10.0.0.0/8', '192.0.2.1', 'fd00::/8'] });
  const trusted = ['10.255.0.1', '::ffff:10.0.0.1', '192.0.2.1', 'fd12::1'];
  const strangers = ['11.0.0.1', '192.0.2.2', '::ffff:192.0.2.2', 'fe80::1', '127.0.0.1', '', 'unknown'];
  expect(trusted.filter((address) => !edge.trusts(address))).toEqual([]);
  expect(strangers.filter((address) => edge.trusts(address))).toEqual([]);
});
