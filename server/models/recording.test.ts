import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../errors.ts';
import { openRecordings, parseRecording } from './recording.ts';

const header = { recording: 1, title: 'A sample', model: 'recorded/sample', source: 'written by hand' };
const turn = { turn: 0, answer: { text: 'Done.' } };
const lines = (...values: unknown[]) =>
  Buffer.from(`${values.map((value) => JSON.stringify(value)).join('\n')}\n`);

test('fills in what may be left out', () => {
  const recording = parseRecording(lines(header, turn), 'sample.jsonl');
  expect(recording).toMatchObject({ model: 'recorded/sample', price: { input: 2, output: 10 } });
  expect(recording.turns).toEqual([
    {
      turn: 0,
      expect: { contains: [], requestContains: [], lacks: [], tools: [] },
      answer: { text: 'Done.', toolCalls: [], pace: { chunk: 40, delayMs: 0 } },
      misbehave: [],
    },
  ]);
});

const callOf = (call: object) => ({ turn: 0, answer: { toolCalls: [call] } });
test.each([
  ['an empty file', Buffer.from(''), 1, /not JSON/],
  ['a cut line', Buffer.from(`${JSON.stringify(header)}\n{"turn":0,"ans`), 2, /not JSON/],
  ['bytes that are no text', Buffer.concat([lines(header), Buffer.from([0x22, 0xff, 0x22])]), 2, /not UTF-8/],
  ['another version', lines({ ...header, recording: 2 }, turn), 1, /recording: /],
  ['an unknown field', lines({ ...header, titel: 'x' }, turn), 1, /titel/],
  ['a source that says nothing', lines({ ...header, source: 'x' }, turn), 1, /source: must say/],
  ['no turns', lines(header), 2, /at least one turn/],
  ['turns out of order', lines(header, { ...turn, turn: 1 }), 2, /turn: must be 0/],
  ['an empty answer', lines(header, { turn: 0, answer: {} }), 2, /answer: needs text or toolCalls/],
  ['a call without arguments', lines(header, callOf({ name: 'x' })), 2, /answer\.toolCalls\.0: needs either/],
  [
    'a call with two',
    lines(header, callOf({ name: 'x', input: {}, argumentsText: '' })),
    2,
    /answer\.toolCalls\.0: needs either/,
  ],
  [
    'an unknown misbehaviour',
    lines(header, turn, { ...turn, turn: 1, misbehave: [{ kind: '418' }] }),
    3,
    /misbehave\.0\.kind/,
  ],
  [
    'a cut without a call to cut',
    lines(header, { ...turn, misbehave: [{ kind: 'cut_stream' }] }),
    2,
    /misbehave\.0: cut_stream needs an answer with a tool call/,
  ],
])('refuses %s, naming file and line', (_what, content, line, problem) => {
  const refused = () => parseRecording(content, '/r/sample.jsonl');
  expect(refused).toThrow(AppError);
  expect(refused).toThrow(problem);
  expect(refused).toThrow(`/r/sample.jsonl is not valid, line ${line}: `);
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recordings-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('opens what is in the folder, under its own name only', async () => {
  await writeFile(join(folder, 'sample.jsonl'), lines(header, turn));
  await writeFile(join(folder, 'other.jsonl'), lines(header, turn));
  const recordings = openRecordings(folder);
  expect(recordings.names()).toEqual(['other', 'sample']);
  expect(recordings.read('sample')?.title).toBe('A sample');
  expect(recordings.read('../sample')).toBeUndefined();
  expect(() => recordings.read('other')).toThrow('model: must be recorded/other');
  expect(openRecordings(join(folder, 'none')).names()).toEqual([]);
});
