import { expect, test } from 'vitest';
import type { CloudEvent } from '../../../contract/events.ts';
import { topicOf, writeMessage } from '../../domain/notifications/messages.ts';
import { writeRequest } from './requests.ts';

const event = (
  type: CloudEvent['type'],
  data: Record<string, unknown>,
  subject = 'ask/ask_1',
): CloudEvent => ({
  specversion: '1.0',
  id: 'evt_1',
  source: '/mission-control',
  type,
  subject,
  time: '2030-01-01T00:00:00.000Z',
  sequence: 7,
  taskid: 'task_1',
  actor: 'ada',
  data,
});
const attempt = { id: 'dlv_1', now: Date.UTC(2030, 0, 1) };
const context = { taskTitle: 'Mend it', publicUrl: 'https://m.example' };

test('each topic has its words and its link', () => {
  const write = (type: CloudEvent['type'], data: Record<string, unknown>, subject?: string) => {
    const topic = topicOf(type);
    return topic && writeMessage(event(type, data, subject), topic, context);
  };
  expect(write('ask.opened', { question: 'May I?' })).toMatchObject({
    topic: 'needed',
    title: 'Needed: Mend it',
    text: 'May I?',
    link: 'https://m.example/asks/ask_1',
  });
  expect(write('change.ready', { title: 'Spell' }, 'change/chg_1')).toMatchObject({
    topic: 'ended',
    link: 'https://m.example/changes/chg_1',
  });
  expect(write('task.failed', { reason: 'No.' }, 'task/task_1')).toMatchObject({
    topic: 'ended',
    link: 'https://m.example/tasks/task_1',
  });
  expect(write('budget.near', { explanation: '$4 of $5' }, 'budget/bud_1')).toMatchObject({
    topic: 'budget',
  });
  expect(write('run.overdue', { waiting: { reason: 'a pause' } }, 'run/run_1')).toMatchObject({
    topic: 'overdue',
    text: 'a pause',
  });
  expect(write('step.intended', {})).toBeUndefined();
});

test('what agents write neither breaks a line of a header nor moves a cursor, and has an end', () => {
  const data = { question: `\u001b[2J\u202e${'x'.repeat(5_000)}` };
  const message = writeMessage(event('ask.opened', data), 'needed', { taskTitle: 'a\r\nb', publicUrl: null });
  for (const character of '\u001b\u202e') expect(message.text).not.toContain(character);
  expect(message.text).toHaveLength(1_000);
  expect(message.title).toBe('Needed: a b');
  expect(message.link).toBeNull();
});

test('ntfy is published to below whatever path its server has', () => {
  const message = writeMessage(event('ask.opened', { question: '?' }), 'needed', context);
  const send = (url: string) => {
    const request = writeRequest({ kind: 'ntfy', url, topics: ['needed'] }, message, attempt);
    return [request.url, JSON.parse(request.body).topic];
  };
  expect(send('https://ntfy.sh/my-topic')).toEqual(['https://ntfy.sh/', 'my-topic']);
  expect(send('https://host/push/my%20topic/')).toEqual(['https://host/push/', 'my topic']);
});

test('a webhook without a secret is not signed; one with a plain secret is', () => {
  const message = writeMessage(event('ask.opened', { question: '?' }), 'needed', context);
  const headers = (secret?: string) => {
    const target = { kind: 'webhook' as const, url: 'https://h/', topics: ['needed' as const] };
    return writeRequest(secret === undefined ? target : { ...target, secret }, message, attempt).headers;
  };
  expect(headers()).not.toHaveProperty('webhook-signature');
  expect(headers('a plain secret')).toMatchObject({
    'webhook-id': 'dlv_1',
    'webhook-timestamp': '1893456000',
    'webhook-signature': expect.stringMatching(/^v1,[\w+/]{43}=$/),
  });
});
