import { expect, test } from 'vitest';
import { readServerSentEvents } from '../../client/server-sent-events.ts';
import { createTaskBody } from '../../contract/tasks.ts';
import { approvalOf } from '../commands/asks.ts';
import { taskBody } from '../commands/runs.ts';
import { decisionOf } from './prompt.ts';

async function read(...pieces: string[]) {
  const encoder = new TextEncoder();
  const chunks = ReadableStream.from(pieces.map((piece) => encoder.encode(piece)));
  const events = [];
  for await (const event of readServerSentEvents(chunks)) events.push(event);
  return events;
}

test('server-sent events, cut anywhere, with comments, several lines and both line ends', async () => {
  const text =
    ': hello\n\nid: 7\nevent: run.claimed\ndata: {"a":\ndata: 1}\n\nevent:live\r\ndata:x\r\n\r\ndata: cut off';
  const events = [
    { id: '7', event: 'run.claimed', data: '{"a":\n1}' },
    { id: '', event: 'live', data: 'x' },
  ];
  expect(await read(text)).toEqual(events);
  expect(await read(...text)).toEqual(events);
});

test('a person’s line decides an ask', () => {
  const approval = { kind: 'approval', detail: {}, actionHash: 'h' } as const;
  const question = { kind: 'clarification', detail: { options: ['red', 'blue'] }, actionHash: 'h' } as const;
  expect(decisionOf(approval, ' y ')).toEqual({ decision: 'approve', answer: '', actionHash: 'h' });
  expect(decisionOf(approval, 'No')).toEqual({ decision: 'deny', answer: '', actionHash: 'h' });
  expect(decisionOf(approval, 'use a branch')).toEqual({
    decision: 'deny',
    answer: 'use a branch',
    actionHash: 'h',
  });
  expect(decisionOf(question, '2')).toEqual({ decision: 'answer', answer: 'blue', actionHash: 'h' });
  expect(decisionOf(question, 'y')).toEqual({ decision: 'answer', answer: 'y', actionHash: 'h' });
  expect(decisionOf(approval, '  ')).toBeNull();
});

test('approve answers a question only with an answer', () => {
  const question = { id: 'ask_1', kind: 'clarification', question: 'Which?' } as const;
  expect(() => approvalOf(question, undefined)).toThrow('needs an answer');
  expect(approvalOf(question, 'the first')).toEqual({ decision: 'answer', answer: 'the first' });
  expect(approvalOf({ ...question, kind: 'approval' }, undefined)).toEqual({
    decision: 'approve',
    answer: '',
  });
});

test('a task’s repository is a path from here, or a URL as it is', () => {
  const options = { repo: '../lib', check: ['npm test'], setup: [], usd: 2, detach: false };
  const body = taskBody('Mend it', options, '/home/me/work');
  expect(createTaskBody.parse(body)).toEqual({
    instructions: 'Mend it',
    repository: '/home/me/lib',
    checks: ['npm test'],
    budget: { usd: 2 },
  });
  expect(taskBody('x', { ...options, repo: 'https://host/lib.git' }, '/').repository).toBe(
    'https://host/lib.git',
  );
  expect(() => taskBody(' ', options, '/')).toThrow('empty');
});
