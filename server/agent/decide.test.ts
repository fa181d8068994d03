import { describe, expect, test } from 'vitest';
import type { ErrorClass, Step } from '../../contract/steps.ts';
import { backOffMs, decide, decideLimits, isTransient } from './decide.ts';
import { coderPlaybook } from './playbook.ts';
import { readState } from './state.ts';
import { ask, briefing, failure, guidance, inOrder, intended, phase, result, turn } from './steps-fixture.ts';

const next = (...steps: Step[]) => decide(readState(inOrder(steps), briefing), coderPlaybook, decideLimits);
const finished = (id: string, input: Record<string, unknown> = {}) => [
  turn('', `finish_phase ${id}`),
  result(`finish_phase ${id}`, 'ok', { summary: 's', title: null, description: null, ...input }),
];
const times = (count: number, make: (index: number) => Step[]) =>
  Array.from({ length: count }, (_, index) => make(index)).flat();
const called = (index: number) => [turn('', `read_file c${index}`), result(`read_file c${index}`, 'x')];

describe('the next thing', () => {
  const { phases } = coderPlaybook;
  const last = phases.at(-1)?.name ?? '';
  test.each<[string, Step[], Record<string, unknown>]>([
    ['nothing was done yet', [], { kind: 'enter', phase: 'analyse' }],
    ['it was prepared', [phase('prepare')], { kind: 'enter', phase: 'analyse' }],
    ['a phase began', [phase('analyse')], { kind: 'think' }],
    [
      'calls are due',
      [phase('analyse'), turn('', 'read_file a', 'note b')],
      { kind: 'act', pending: { modelSeq: 2, call: { id: 'a' } } },
    ],
    [
      'one of two is done',
      [phase('analyse'), turn('', 'read_file a', 'note b'), result('read_file a', '')],
      { kind: 'act', pending: { call: { id: 'b' } } },
    ],
    [
      'a phase is done, calls are due',
      [
        phase('analyse'),
        turn('', 'finish_phase a', 'note b'),
        result('finish_phase a', '', { summary: 's' }),
      ],
      { kind: 'act', pending: { call: { id: 'b' } } },
    ],
    ['a phase is done', [phase('analyse'), ...finished('a')], { kind: 'enter', phase: 'gather_context' }],
    [
      'a finish was refused',
      [phase('analyse'), turn('', 'finish_phase a'), result('finish_phase a', 'no', {}, 'failed')],
      { kind: 'think' },
    ],
    [
      'all is done',
      [phase(last), ...finished('a', { title: 'T' })],
      { kind: 'deliver', finish: { title: 'T' } },
    ],
    ['it came back', [phase(last), ...finished('a'), guidance('red', 'implement')], { kind: 'think' }],
    [
      'an ask is open',
      [phase('analyse'), turn('', 'run_command a'), intended(ask({ callId: 'a' }))],
      { kind: 'await_answer' },
    ],
    [
      'a call was cut off',
      [phase('analyse'), turn('', 'read_file a'), intended(result('read_file a', ''))],
      { kind: 'recover' },
    ],
    ['a model call was cut off', [phase('analyse'), intended(turn('x'))], { kind: 'recover' }],
    [
      'a person ended it',
      [phase('analyse'), ask({ about: 'budget' }, { decision: 'deny', answer: 'too dear' })],
      { kind: 'fail', reason: 'olga ended it (budget): too dear' },
    ],
    [
      'nobody let it go on',
      [phase('analyse'), ask({ about: 'loop' }, { decision: 'expired' })],
      { kind: 'fail', reason: 'nobody said in time how to go on (loop)' },
    ],
    ['a person let it go on', [phase('analyse'), ask({ about: 'loop' })], { kind: 'think' }],
  ])('when %s', (_name, steps, expected) => {
    expect(next(...steps)).toMatchObject(expected);
  });
});

describe('a model that fails', () => {
  const failed = (count: number, errorClass: ErrorClass, retryAfterMs?: number) =>
    next(phase('plan'), ...times(count, () => [failure(errorClass, retryAfterMs)]));
  const delay = (decision: ReturnType<typeof failed>) =>
    decision.kind === 'back_off' ? decision.until - Date.parse('2030-01-01T00:00:00.000Z') : Number.NaN;

  test('for a while is tried again, each time later, up to a minute', () => {
    const delays = [1, 2, 3, 4, 5].map((count) => delay(failed(count, 'overloaded')));
    for (const [index, ms] of delays.entries()) {
      expect(ms).toBeGreaterThanOrEqual(1_000 * 2 ** index);
      expect(ms).toBeLessThanOrEqual(1_250 * 2 ** index);
    }
    expect(backOffMs(30, undefined, 'x')).toBeLessThanOrEqual(75_000);
  });

  test('waits as long as its provider says, and at most a quarter longer', () => {
    const ms = delay(failed(1, 'rate_limited', 40_000));
    expect(ms).toBeGreaterThanOrEqual(40_000);
    expect(ms).toBeLessThanOrEqual(50_000);
  });

  test('waits as long after a restart, and calls of two runs not equally long', () => {
    expect(failed(3, 'timeout')).toEqual(failed(3, 'timeout'));
    const spread = new Set(
      Array.from({ length: 50 }, (_, index) => backOffMs(1, undefined, `run_${index}/7`)),
    );
    expect(spread.size).toBeGreaterThan(30);
  });

  test('too often, or for good, is a question to a person', () => {
    expect(failed(decideLimits.transientAttempts, 'overloaded')).toMatchObject({
      kind: 'ask_how_to_go_on',
      about: 'model',
    });
    for (const errorClass of [
      'authentication',
      'no_credit',
      'invalid_request',
      'unknown_model',
      'context_overflow',
      'refused',
    ] as const) {
      expect(isTransient(errorClass)).toBe(false);
      expect(failed(1, errorClass)).toMatchObject({
        kind: 'ask_how_to_go_on',
        question: expect.stringContaining(errorClass),
      });
    }
  });

  test('because the recording does not fit ends the run', () => {
    expect(failed(1, 'recording_mismatch')).toEqual({ kind: 'fail', reason: 'it failed' });
  });

  test('again after a person let it try is tried as often as before', () => {
    const first = times(decideLimits.transientAttempts, () => [failure('overloaded')]);
    expect(next(phase('plan'), ...first, ask({ about: 'model' }))).toEqual({ kind: 'think' });
    expect(next(phase('plan'), ...first, ask({ about: 'model' }), failure('overloaded'))).toMatchObject({
      kind: 'back_off',
    });
  });
});

describe('a model that goes round in circles is a question to a person', () => {
  const { emptyTurns, idleTurns, sameTurns, turns } = decideLimits;
  const talk = (index: number) => [turn(`hm ${index}`)];
  const varied = (index: number) => [
    turn('', `${index % 2 === 0 ? 'read_file' : 'search'} c${index}`),
    result(`x c${index}`, 'x'),
  ];
  test.each<[string, number, (index: number) => Step[], string]>([
    ['says nothing', emptyTurns, () => [turn('')], 'answered nothing 3 times'],
    ['only talks', idleTurns, talk, 'called no tool'],
    ['does the same', sameTurns + 1, called, 'same calls 6 times'],
    ['takes too many turns', turns, varied, `taken ${turns} turns`],
  ])('when it %s', (_name, count, make, question) => {
    expect(next(phase('plan'), ...times(count - 1, make))).toEqual({ kind: 'think' });
    expect(next(phase('plan'), ...times(count, make))).toMatchObject({
      kind: 'ask_how_to_go_on',
      about: 'loop',
      question: expect.stringContaining(question),
    });
    expect(next(phase('plan'), ...times(count, make), ask({ about: 'loop' }))).toEqual({ kind: 'think' });
  });
});
