import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { der, integer, oid, sequence } from '../server/computers/egress/der.ts';

export interface Certificate {
  key: string;
  cert: string;
}

/** An authority that nobody knows, and a certificate by it for `localhost`; both for a day. */
export function makeCertificates(): { authority: string; server: Certificate } {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { name: 'A private authority', key: authority.privateKey };
  const isAuthority = extension('551d13', sequence(Buffer.from([0x01, 0x01, 0xff])));
  const forLocalhost = extension('551d11', sequence(der(0x82, Buffer.from('localhost'))));
  return {
    authority: certify(issuer, { name: issuer.name, key: authority.publicKey }, isAuthority),
    server: {
      key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      cert: certify(issuer, { name: 'localhost', key: server.publicKey }, forLocalhost),
    },
  };
}

interface Party {
  name: string;
  key: KeyObject;
}

/** An X.509 certificate, version 3, as PEM. */
function certify(issuer: Party, subject: Party, extensions: Buffer): string {
  const algorithm = sequence(oid('2a8648ce3d040302'));
  const now = Date.now();
  const day = 86_400_000;
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    nameOf(issuer.name),
    sequence(timeOf(now - day), timeOf(now + day)),
    nameOf(subject.name),
    subject.key.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extensions)),
  );
  const signature = sign('sha256', body, issuer.key);
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function nameOf(name: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
}

function timeOf(time: number): Buffer {
  return der(0x18, Buffer.from(`${new Date(time).toISOString().replace(/[-:T]|\.\d+/g, '')}`));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), der(0x04, value));
}
