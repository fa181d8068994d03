import type { NotificationBody } from '../../../contract/notifications.ts';
import type { NotificationMessage } from '../../domain/notifications/messages.ts';
import type { PostRequest } from '../post.ts';
import { signWebhook } from '../standard-webhooks.ts';

/**
 * The POST that one kind of receiver takes.
 * @param id the same at every try, so that the receiver can tell a repetition
 * @param now milliseconds since 1970
 */
export function writeRequest(
  target: NotificationBody,
  message: NotificationMessage,
  { id, now }: { id: string; now: number },
): PostRequest {
  const bearer: Record<string, string> =
    target.token === undefined ? {} : { authorization: `Bearer ${target.token}` };
  const headers = { 'content-type': 'application/json', 'user-agent': 'mission-control', ...bearer };
  switch (target.kind) {
    case 'webhook':
      return writeWebhook(target, message, headers, { id, now });
    case 'ntfy':
      return { ...writeNtfy(target.url, message), headers };
    case 'slack':
      return { url: target.url, headers, body: JSON.stringify({ text: slackText(message), ...noUnfurling }) };
    case 'discord': {
      const content = [`**${message.title}**`, message.text, message.link ?? ''].filter(Boolean).join('\n');
      // Nobody is pinged by what an agent wrote, and no address in it is fetched for a preview.
      const body = {
        content: content.slice(0, 2_000),
        allowed_mentions: { parse: [] },
        flags: suppressEmbeds,
      };
      return { url: target.url, headers, body: JSON.stringify(body) };
    }
  }
}

/** Slack would fetch the addresses that an agent wrote, and whoever is behind one would read what is in it. */
const noUnfurling = { unfurl_links: false, unfurl_media: false };
const suppressEmbeds = 1 << 2;

/** CloudEvents in structured mode; signed as Standard Webhooks where there is a secret. */
function writeWebhook(
  { url, secret }: NotificationBody,
  { event, topic, title, text, link }: NotificationMessage,
  common: Record<string, string>,
  attempt: { id: string; now: number },
): PostRequest {
  const body = JSON.stringify({
    ...event,
    data: { ...event.data, notification: { topic, title, text, link } },
  });
  const headers = {
    ...common,
    'content-type': 'application/cloudevents+json; charset=utf-8',
    ...signWebhook(body, secret === undefined ? [] : [secret], attempt),
  };
  return { url, headers, body };
}

/** Published as JSON to the server's root, since a title may hold what no header can. */
function writeNtfy(url: string, message: NotificationMessage): { url: string; body: string } {
  const address = new URL(url);
  const path = address.pathname.replace(/\/+$/, '');
  const cut = path.lastIndexOf('/');
  const topic = decodeURIComponent(path.slice(cut + 1));
  address.pathname = path.slice(0, cut + 1) || '/';
  const { title, text, link } = message;
  return {
    url: address.href,
    body: JSON.stringify({
      topic,
      title,
      message: text || title,
      priority: message.topic === 'needed' ? 4 : 3,
      ...(link === null ? {} : { click: link }),
    }),
  };
}

function slackText({ title, text, link }: NotificationMessage): string {
  const plain = (words: string) =>
    words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const open = link === null ? '' : `<${link}|Open it>`;
  return [`*${plain(title).replaceAll('*', '∗')}*`, plain(text), open].filter(Boolean).join('\n');
}
