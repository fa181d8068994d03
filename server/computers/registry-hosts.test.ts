import { expect, test } from 'vitest';
import { judgeTarget, listAllowedTargets } from './registry-hosts.ts';

const allowed = listAllowedTargets([
  'npm.example.com',
  'Mirror.example.com:4873',
  'bad host',
  'user@evil.example',
]);

test('exact names on the web ports, whatever their case, are spelt from the list', () => {
  expect(judgeTarget('registry.npmjs.org:443', allowed)).toEqual({ host: 'registry.npmjs.org', port: 443 });
  expect(judgeTarget('PyPI.org:80', allowed)).toEqual({ host: 'pypi.org', port: 80 });
  expect(judgeTarget('npm.example.com:443', allowed)).toEqual({ host: 'npm.example.com', port: 443 });
  expect(judgeTarget('mirror.example.com:4873', allowed)).toEqual({ host: 'mirror.example.com', port: 4873 });
});

test.each([
  'example.com:443',
  'evil-registry.npmjs.org:443',
  'registry.npmjs.org.evil.example:443',
  'xregistry.npmjs.org:443',
  'a.registry.npmjs.org:443',
  'npmjs.org:443',
  'registry.npmjs.org.:443',
  'registry.npmjs.org\0.evil.example:443',
  'registry.npmjs.org\0:443',
  'registry.npmjs.org:443\n',
  'registry.npmjs.org:443\r\nHost: evil',
  ' registry.npmjs.org:443',
  'registry.npmjs.org:22',
  'registry.npmjs.org:4430',
  'registry.npmjs.org:0443',
  'registry.npmjs.org:+443',
  'registry.npmjs.org:',
  'registry.npmjs.org',
  'user@registry.npmjs.org:443',
  'evil.example:443@registry.npmjs.org:443',
  'registry.npmjs.org:443/../evil',
  'registry。npmjs。org:443',
  'regıstry.npmjs.org:443',
  'mirror.example.com:443',
  'evil.example:443',
  'registryXnpmjs.org:443',
  '127.0.0.1:443',
  '[::1]:443',
  '169.254.169.254:80',
  '',
  ':443',
])('%j is refused', (authority) => {
  expect(judgeTarget(authority, allowed)).toBeUndefined();
});
