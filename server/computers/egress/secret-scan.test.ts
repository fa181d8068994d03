import { createHash, randomBytes } from 'node:crypto';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeContent } from './decodings.ts';
import { Coverage, SecretIndex } from './secret-index.ts';
import { SecretScan, shares } from './secret-scan.ts';

const secret = 'tok-7Fq2.Zr9_Kx41LmW8vTb6Ye3NdPa';
const index = new SecretIndex([{ name: 'deploy', value: secret }]);
const fresh = () => new SecretScan(index, new Coverage(index, shares.run));
const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64');
const hex = (text: string) => Buffer.from(text).toString('hex');
const percent = (text: string) => hex(text).replace(/../g, '%$&');
const reverse = (text: string) => [...text].reverse().join('');

const encodings: [string, string][] = [
  ['as it is', secret],
  ['in capitals', secret.toUpperCase()],
  ['base64', base64(secret)],
  ['base64url', Buffer.from(secret).toString('base64url')],
  ['base64, shifted by one', base64(`x${secret}`)],
  ['base64, shifted by two', base64(`xy${secret}`)],
  ['base64 in lines', base64(secret).replace(/.{8}/g, '$&\n')],
  ['hex', hex(secret)],
  ['hex at an odd place', `a${hex(secret)}`],
  ['hex with colons', hex(secret).replace(/..(?=.)/g, '$&:')],
  ['percent', percent(secret)],
  ['percent twice', percent(percent(secret))],
  ['backwards', reverse(secret)],
  ['base64 backwards', reverse(base64(secret))],
  [
    'rot13',
    secret.replace(/[a-z]/gi, (c) => String.fromCharCode(c.charCodeAt(0) + (/[a-m]/i.test(c) ? 13 : -13))),
  ],
  ['base64 of base64 of hex', base64(base64(hex(secret)))],
  ['hex of gzip', gzipSync(secret).toString('hex')],
  ['base64 of gzip of base64', base64(gzipSync(base64(secret)))],
  ['labels of a name', `${secret.replace(/[^a-z0-9]/gi, '').replace(/.{9}/g, '$&.')}x.example.com`],
  ['hex in labels', hex(secret).replace(/.{20}/g, '$&.')],
  ['base32', base32(secret)],
  ['character codes', [...Buffer.from(secret)].join(', ')],
  ['JSON escapes', [...secret].map((c) => `\\u00${hex(c)}`).join('')],
  ['HTML entities', [...secret].map((c) => `&#${c.charCodeAt(0)};`).join('')],
  ['between dashes', [...secret].join('-')],
];

test.each(encodings)('a secret is found %s', (_, text) => {
  expect(fresh().text(`some text before it, and then ${text} goes on`)).toMatchObject({ secret: 'deploy' });
});

test.each<[string, Buffer]>([
  ['gzip', gzipSync(`{"a":"${secret}"}`)],
  ['zlib', deflateSync(secret)],
  [
    'a pack of git',
    Buffer.concat([
      Buffer.from('PACK\0\0\0\x02'),
      randomBytes(40),
      deflateSync(`tree\n${secret}`),
      randomBytes(20),
    ]),
  ],
  ['a zip file', zip(secret)],
])('a secret is found in %s', (_, body) => {
  expect(fresh().block(body)).toMatchObject({ secret: 'deploy' });
});

test('a secret is found across blocks, across the parts of a request, and across requests', () => {
  const body = Buffer.from(`${'x'.repeat(5_000)}${secret}${'y'.repeat(5_000)}`);
  const scan = fresh();
  expect(scan.block(body.subarray(0, 5_010)) ?? scan.block(body.subarray(5_010))).not.toBeNull();
  const parts = fresh();
  expect(parts.text(`/path/${secret.slice(0, 11)}`)).toBeNull();
  expect(parts.text(`x-a: ${secret.slice(11, 22)}`)).toBeNull();
  expect(parts.block(Buffer.from(secret.slice(14)))).toMatchObject({ secret: 'deploy' });
  const run = new Coverage(index, shares.run);
  const asked = [0, 4, 8, 12, 16, 20].map((from) =>
    new SecretScan(index, run).text(secret.slice(from, from + 12)),
  );
  expect(asked[0]).toBeNull();
  expect(asked.at(-1)).toMatchObject({ secret: 'deploy' });
});

test('what is no secret passes: texts, hashes, random bytes, pictures of code', () => {
  const scan = fresh();
  expect(scan.text('The quick brown fox jumps over the lazy dog, tok-7 and all.')).toBeNull();
  expect(scan.text(`tok- ${createHash('sha256').update(secret).digest('hex')}`)).toBeNull();
  expect(scan.block(randomBytes(300_000))).toBeNull();
  expect(scan.block(Buffer.from(randomBytes(100_000).toString('base64')))).toBeNull();
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => fresh().text(text) === null),
    { numRuns: 200 },
  );
});

test('well-known shapes are found, whoever they belong to', () => {
  const none = new SecretIndex([]);
  const scan = (text: string) => new SecretScan(none, new Coverage(none, 1)).text(text);
  expect(scan(`q=ghp_${'a1B2'.repeat(9)}`)).toMatchObject({ secret: 'a GitHub token' });
  expect(scan(base64(`AKIA${'ABCD2345'.repeat(2)}`))).toMatchObject({ secret: 'an AWS key' });
  expect(scan('-----BEGIN OPENSSH PRIVATE KEY-----')).toMatchObject({ secret: 'a private key' });
  expect(scan('ghp_short and sk-short')).toBeNull();
});

test('a content encoding is undone, or not known', () => {
  const text = Buffer.from('plain');
  expect(decodeContent('gzip', gzipSync(text))).toEqual(text);
  expect(decodeContent('br', brotliCompressSync(text))).toEqual(text);
  expect(decodeContent('deflate', deflateRawSync(text))).toEqual(text);
  expect(decodeContent('own', text)).toBeNull();
  expect(decodeContent('gzip', text)).toBeNull();
  expect(decodeContent('gzip', gzipSync(Buffer.alloc(20 * 1024 ** 2)))).toBeNull();
});

function base32(text: string): string {
  const bits = [...Buffer.from(text)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('');
}

function zip(text: string): Buffer {
  const data = deflateRawSync(text);
  const head = Buffer.alloc(30);
  head.write('PK\x03\x04', 'latin1');
  head.writeUInt16LE(8, 8);
  head.writeUInt32LE(data.length, 18);
  head.writeUInt16LE(4, 26);
  return Buffer.concat([head, Buffer.from('name'), data]);
}
