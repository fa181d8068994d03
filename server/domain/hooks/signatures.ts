import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { HookScheme } from '../../../contract/hooks.ts';

/** What came in, before any of it is believed. */
export interface SignedRequest {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The bytes as they came: they are what was signed. */
  body: Buffer;
}

export type Verdict =
  | {
      ok: true;
      /** The sender's identifier of the delivery. */
      senderId: string;
      /** Of the body, where no signature covers the identifier; else null. */
      replayHash: Buffer | null;
    }
  | { ok: false; reason: string };

/** Seconds that a signed time may be away from ours. */
const toleranceSeconds = 300;
const mostSignatures = 8;
/** Shorter ones can be guessed; an empty one signs for everybody. */
const shortestKey = 16;

/**
 * Whether one of the secrets signed the request. Every signature is compared with every secret, in time that tells
 * nothing of either; without a secret nothing is good.
 * @param now milliseconds since 1970
 */
export function verifySignature(
  scheme: HookScheme,
  request: SignedRequest,
  { secrets, now }: { secrets: readonly string[]; now: number },
): Verdict {
  return scheme === 'github' ? verifyGithub(request, secrets) : verifyStandard(request, secrets, now);
}

function verifyStandard({ headers, body }: SignedRequest, secrets: readonly string[], now: number): Verdict {
  const [id, time, given] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    headerOf(headers, name),
  );
  const signatures = (given ?? '')
    .split(' ')
    .slice(0, mostSignatures)
    .flatMap((each) => (each.startsWith('v1,') ? [Buffer.from(each.slice(3), 'base64')] : []));
  const signed = [Buffer.from(`${id ?? ''}.${time ?? ''}.`), body];
  const isGood = anyEqual(signatures, hashesOf(secrets, signed));
  if (id === undefined || time === undefined || given === undefined)
    return refused('it lacks webhook-id, webhook-timestamp or webhook-signature');
  // A dot would let a part of the body pass for the time.
  if (!/^[\x21-\x2d\x2f-\x7e]{1,200}$/.test(id) || !/^\d{1,12}$/.test(time))
    return refused('its webhook-id or webhook-timestamp is not in the form of Standard Webhooks');
  if (!isGood) return refused('no secret of the hook made its signature');
  if (Math.abs(now / 1_000 - Number(time)) > toleranceSeconds)
    return refused('it was signed more than five minutes away from the time of this server');
  return { ok: true, senderId: id, replayHash: null };
}

function verifyGithub({ headers, body }: SignedRequest, secrets: readonly string[]): Verdict {
  const id = headerOf(headers, 'x-github-delivery');
  const given = headerOf(headers, 'x-hub-signature-256');
  const signature = Buffer.from(/^sha256=([0-9a-f]{64})$/i.exec(given ?? '')?.[1] ?? '', 'hex');
  const isGood = anyEqual([signature], hashesOf(secrets, [body]));
  if (id === undefined || given === undefined)
    return refused('it lacks X-GitHub-Delivery or X-Hub-Signature-256');
  if (!/^[\w-]{1,100}$/.test(id)) return refused('its X-GitHub-Delivery is not in the form of GitHub');
  if (!isGood) return refused('no secret of the hook made its signature');
  return { ok: true, senderId: id, replayHash: createHash('sha256').update(body).digest() };
}

const refused = (reason: string): Verdict => ({ ok: false, reason });

function headerOf(headers: SignedRequest['headers'], name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function hashesOf(secrets: readonly string[], parts: readonly Buffer[]): Buffer[] {
  return secrets.flatMap((secret) => {
    const key = secret.startsWith('whsec_')
      ? Buffer.from(secret.slice('whsec_'.length), 'base64')
      : Buffer.from(secret);
    if (key.length < shortestKey) return [];
    const hash = createHmac('sha256', key);
    for (const part of parts) hash.update(part);
    return [hash.digest()];
  });
}

function anyEqual(given: readonly Buffer[], expected: readonly Buffer[]): boolean {
  let found = false;
  for (const one of given)
    for (const other of expected)
      if (one.length === other.length && timingSafeEqual(one, other)) found = true;
  return found;
}
