import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import type { CreatedWebhook, WebhookDeliveryView } from '../../contract/webhooks.ts';
import { House } from '../e2e/house.ts';
import { startReceiver } from '../receiver.ts';

test('a webhook that was made over the API is sent events by the real server, and its deliveries can be seen', async () => {
  await using receiver = await startReceiver();
  await using house = await House.open({ webhooks: { privateHosts: ['127.0.0.1'] } });
  const refused = await house.ask<{ status: number; detail: string }>('POST', '/webhooks', {
    url: 'https://10.1.1.1/',
    types: ['*'],
  });
  expect(refused).toMatchObject({ status: 422, detail: expect.stringContaining('private') });
  const hook = await house.ask<CreatedWebhook>('POST', '/webhooks', {
    url: `${receiver.url}/hook`,
    types: ['halt.*'],
  });
  expect(await house.ask('POST', `/webhooks/${hook.id}/test`)).toEqual({
    delivered: true,
    host: new URL(receiver.url).host,
  });
  await house.ask('POST', '/halt', { reason: 'a test' });
  const { headers, body } = await receiver.await(({ body: text }) => text.includes('halt.began'));
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const key = Buffer.from(hook.secret.slice('whsec_'.length), 'base64');
  expect(headers['webhook-signature']).toBe(
    `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
  );
  const list = () => house.ask<{ items: WebhookDeliveryView[] }>('GET', `/webhooks/${hook.id}/deliveries`);
  const id = String(headers['webhook-id']);
  expect((await list()).items).toMatchObject([{ id, type: 'halt.began' }]);
  receiver.received.length = 0;
  await house.ask('POST', `/webhooks/${hook.id}/deliveries/${id}/redeliver`);
  const again = await receiver.await(({ body: text }) => text.includes('halt.began'));
  expect(again.headers['webhook-id']).toBe(id);
  expect(JSON.stringify(await house.ask('GET', '/webhooks'))).not.toContain(hook.secret);
});
