import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificates } from '../certificates.ts';
import { House } from '../e2e/house.ts';
import { until } from '../start-app.ts';

let folder: string;
let house: House;
let files: { certificate: string; key: string };
const first = makeCertificates();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tls-'));
  files = { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  put(first);
  house = await House.open({ roles: ['api'], tls: files, publicUrl: 'https://localhost' });
});
afterAll(async () => {
  await house?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function put({ server }: ReturnType<typeof makeCertificates>): void {
  writeFileSync(files.certificate, server.cert);
  writeFileSync(files.key, server.key);
}

interface Answer {
  status: number;
  serial: string;
  cookie: string;
  text: string;
}

function send(ca: string, options: RequestOptions, body = ''): Promise<Answer> {
  const { port } = new URL(house.url);
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', servername: 'localhost', port, ca, agent: false, ...options },
      (response) => {
        let text = '';
        const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            serial: serialNumber,
            cookie: [response.headers['set-cookie'] ?? ''].flat()[0] ?? '',
            text,
          }),
        );
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

test('the API answers over TLS alone, under the name of the certificate, with a cookie for TLS alone', async () => {
  expect(house.url).toMatch(/^https:/);
  const headers = {
    authorization: `Bearer ${house.key}`,
    host: 'localhost',
    'content-type': 'application/json',
  };
  const link = await send(first.authority, { method: 'POST', path: '/api/v1/login-links', headers }, '{}');
  const { url }: { url: string } = JSON.parse(link.text);
  expect(url).toMatch(/^https:\/\/localhost\/login#/);
  const token = new URLSearchParams(new URL(url).hash.slice(1)).get('token');
  const session = await send(
    first.authority,
    {
      method: 'POST',
      path: '/api/v1/session',
      headers: { host: 'localhost', 'content-type': 'application/json' },
    },
    JSON.stringify({ token }),
  );
  expect([session.status, session.cookie.endsWith('; Secure')]).toEqual([200, true]);
  await expect(fetch(house.url.replace('https', 'http'))).rejects.toThrow();
});

test('a new certificate is taken up while the server runs, and a broken one leaves the old in use', async () => {
  const options = { path: '/api/v1/health', headers: { host: 'localhost' } };
  const before = await send(first.authority, options);
  const second = makeCertificates();
  put(second);
  process.emit('SIGHUP');
  const after = await send(second.authority, options);
  expect([after.status, after.serial === before.serial]).toEqual([200, false]);
  writeFileSync(files.certificate, 'nothing');
  process.emit('SIGHUP');
  expect((await send(second.authority, options)).serial).toBe(after.serial);
  const third = makeCertificates();
  put(third);
  // Without the signal as well: the files are looked at.
  const found = await until(async () => {
    try {
      return await send(third.authority, options);
    } catch (error) {
      if (error instanceof Error) return undefined;
      throw error;
    }
  }, 'the third certificate is in use');
  expect(found.status).toBe(200);
});

test.each(['MISSION_TLS_CERT', 'MISSION_TLS_KEY'])(
  '%s that is no such file keeps the server from starting',
  async (name) => {
    const wrong =
      name === 'MISSION_TLS_CERT' ? { ...files, certificate: '/no/such' } : { ...files, key: '/no/such' };
    await expect(House.open({ roles: ['api'], tls: wrong })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining(name),
    });
  },
);
