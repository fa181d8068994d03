import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { verifySignature } from './signatures.ts';

const now = 1_900_000_000_000;
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const body = Buffer.from('{"test": 2432232314}');

/** The example that the specification of Standard Webhooks gives. */
const example = {
  'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp': '1614265330',
  'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const exampleTime = 1_614_265_330_000;
const verify = (
  headers: Record<string, string>,
  options: Partial<{ secrets: string[]; now: number; body: Buffer }> = {},
) => {
  const { secrets = [secret], now: time = exampleTime, body: bytes = body } = options;
  return verifySignature('standard-webhooks', { headers, body: bytes }, { secrets, now: time });
};

test('the example of the specification is good, and tells its identifier', () => {
  expect(verify(example)).toEqual({ ok: true, senderId: example['webhook-id'], replayHash: null });
  expect(verify(example, { secrets: ['whsec_b3RoZXJvdGhlcm90aGVyb3RoZXI=', secret] }).ok).toBe(true);
  const several = { ...example, 'webhook-signature': `v1,AAAA v2,x v1a,y ${example['webhook-signature']}` };
  expect(verify(several).ok).toBe(true);
});

test('five minutes to either side are good, and no more', () => {
  for (const [ms, ok] of [
    [299_000, true],
    [-299_000, true],
    [301_000, false],
    [-301_000, false],
  ] as const)
    expect([ms, verify(example, { now: exampleTime + ms }).ok]).toEqual([ms, ok]);
});

test('without a secret, or with one that anybody can guess, nothing is good', () => {
  expect(verify(example, { secrets: [] }).ok).toBe(false);
  for (const weak of ['', 'whsec_', 'whsec_AAAA', 'a']) {
    const key = weak.startsWith('whsec_') ? Buffer.from(weak.slice(6), 'base64') : Buffer.from(weak);
    const signedPart = `${example['webhook-id']}.${example['webhook-timestamp']}.`;
    const hash = createHmac('sha256', key).update(signedPart).update(body).digest('base64');
    expect(verify({ ...example, 'webhook-signature': `v1,${hash}` }, { secrets: [weak] }).ok).toBe(false);
  }
});

test('what is signed cannot be cut anew: a part of the body never becomes the time', () => {
  const hash = (text: string) =>
    createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
      .update(text)
      .digest('base64');
  const whole = 'msg_a.1614265330.[1.1614265330.{}';
  const recut = {
    'webhook-id': 'msg_a.1614265330.[1',
    'webhook-timestamp': '1614265330',
    'webhook-signature': `v1,${hash(whole)}`,
  };
  expect(verify(recut, { body: Buffer.from('{}') })).toMatchObject({ ok: false });
});

test('GitHub’s is good by its body alone, of which a replay is known', () => {
  const key = "It's a Secret to Everybody";
  const sent = Buffer.from('Hello, World!');
  const headers = {
    'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
  };
  const check = (more: Record<string, string> = {}, secrets = [key]) =>
    verifySignature('github', { headers: { ...headers, ...more }, body: sent }, { secrets, now });
  expect(check()).toMatchObject({
    ok: true,
    senderId: headers['x-github-delivery'],
    replayHash: expect.any(Buffer),
  });
  for (const more of [
    { 'x-hub-signature-256': headers['x-hub-signature-256'].slice('sha256='.length) },
    { 'x-hub-signature-256': `${headers['x-hub-signature-256']}00` },
    { 'x-hub-signature-256': 'sha256=' },
    { 'x-github-delivery': '' },
    { 'x-github-delivery': 'a\u0000b' },
  ])
    expect([more, check(more).ok]).toEqual([more, false]);
  expect(check({}, ['another secret of them']).ok).toBe(false);
  expect(check({}, []).ok).toBe(false);
});
