import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { der, integer, oid, sequence } from './der.ts';

/** Certifies the hosts that a proxy answers for. Its key lives in this process's memory alone. */
export interface Authority {
  /** In PEM, for those who shall trust it. */
  certificate: string;
  /** For a TLS server that answers as this name or address. */
  contextFor(host: string): SecureContext;
}

const day = 86_400_000;
const mostContexts = 500;

/** An authority of its own, for one sandbox; good for two weeks, longer than any run. */
export function makeAuthority(): Authority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer: Party = {
    name: `Mission Control egress ${randomBytes(6).toString('hex')}`,
    key: own.publicKey,
  };
  const certificate = certify(own.privateKey, issuer, issuer, [
    extension('551d13', sequence(Buffer.from([0x01, 0x01, 0xff])), true),
    // keyCertSign and cRLSign.
    extension('551d0f', Buffer.from([0x03, 0x02, 0x01, 0x06]), true),
  ]);
  const key = leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const contexts = new Map<string, SecureContext>();
  return {
    certificate,
    contextFor(host) {
      const known = contexts.get(host);
      if (known !== undefined) return known;
      const cert = certify(own.privateKey, issuer, { name: host.slice(0, 64), key: leaf.publicKey }, [
        extension('551d13', sequence(), true),
        // digitalSignature; serverAuth.
        extension('551d0f', Buffer.from([0x03, 0x02, 0x07, 0x80]), true),
        extension('551d25', sequence(oid('2b06010505070301'))),
        extension('551d11', sequence(alternativeName(host))),
      ]);
      const context = createSecureContext({ key, cert });
      if (contexts.size >= mostContexts) contexts.clear();
      contexts.set(host, context);
      return context;
    },
  };
}

interface Party {
  name: string;
  key: KeyObject;
}

/** An X.509 certificate, version 3, in PEM. */
function certify(issuerKey: KeyObject, issuer: Party, subject: Party, extensions: Buffer[]): string {
  const algorithm = sequence(oid('2a8648ce3d040302'));
  const now = Date.now();
  const all = [
    ...extensions,
    extension('551d0e', der(0x04, identify(subject.key))),
    extension('551d23', sequence(der(0x80, identify(issuer.key)))),
  ];
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    nameOf(issuer.name),
    sequence(timeOf(now - day), timeOf(now + 14 * day)),
    nameOf(subject.name),
    subject.key.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...all)),
  );
  const signature = sign('sha256', body, issuerKey);
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

const identify = (key: KeyObject) =>
  createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();

function alternativeName(host: string): Buffer {
  if (/^[\d.]+$/.test(host)) return der(0x87, Buffer.from(host.split('.').map(Number)));
  if (!host.includes(':')) return der(0x82, Buffer.from(host));
  const groups = host.split(':').map((group) => Number.parseInt(group, 16));
  return der(0x87, Buffer.from(groups.flatMap((group) => [group >> 8, group & 0xff])));
}

function nameOf(name: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
}

function timeOf(time: number): Buffer {
  return der(0x18, Buffer.from(new Date(time).toISOString().replace(/[-:T]|\.\d+/g, '')));
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  const mark = critical ? [Buffer.from([0x01, 0x01, 0xff])] : [];
  return sequence(oid(id), ...mark, der(0x04, value));
}
