import { createHmac } from 'node:crypto';

/**
 * The headers of Standard Webhooks. During a rotation there is a signature by each secret, the newest first.
 * @param secrets `whsec_` and base64, or any text
 * @param id the same at every try, so that the receiver can tell a repetition
 * @param now milliseconds since 1970
 */
export function signWebhook(
  body: string,
  secrets: readonly string[],
  { id, now }: { id: string; now: number },
): Record<string, string> {
  const timestamp = String(Math.floor(now / 1_000));
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp };
  if (secrets.length === 0) return headers;
  const signatures = secrets.map((secret) => {
    const hash = createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest('base64');
    return `v1,${hash}`;
  });
  return { ...headers, 'webhook-signature': signatures.join(' ') };
}

function keyOf(secret: string): Buffer {
  return secret.startsWith('whsec_')
    ? Buffer.from(secret.slice('whsec_'.length), 'base64')
    : Buffer.from(secret);
}
