import { expect, test } from 'vitest';
import type { NoteStep, Step } from '../../contract/steps.ts';
import { decide, decideLimits } from './decide.ts';
import { coderPlaybook } from './playbook.ts';
import { readState } from './state.ts';
import { ask, briefing, failure, inOrder, note, phase, turn } from './steps-fixture.ts';

const fallbacks = ['anthropic/b', 'groq/c'];
const read = (...steps: Step[]) => readState(inOrder([phase('analyse'), ...steps]), briefing);
const next = (...steps: Step[]) => decide(read(...steps), coderPlaybook, decideLimits, fallbacks);
const fell = (from: string, to: string): NoteStep => ({
  ...note(),
  intent: { text: '', fallback: { from, to } },
});
const by = <T extends ReturnType<typeof turn>>(model: string, step: T): T => ({
  ...step,
  name: model,
  intent: { ...step.intent, model },
});

test.each(['no_credit', 'unknown_model'] as const)('%s goes on with the next model at once', (errorClass) => {
  expect(next(failure(errorClass))).toMatchObject({
    kind: 'fall_back',
    from: 'recorded/a',
    to: 'anthropic/b',
    reason: `${errorClass}: it failed`,
  });
});

test.each(['authentication', 'invalid_request', 'context_overflow', 'refused'] as const)(
  '%s is for a person, whatever other models there are',
  (errorClass) => {
    expect(next(failure(errorClass))).toMatchObject({ kind: 'ask_how_to_go_on', about: 'model' });
  },
);

test('what passes by itself is tried again first, as often as ever', () => {
  const overloaded = (count: number) => Array.from({ length: count }, () => failure('overloaded'));
  expect(next(...overloaded(5))).toMatchObject({ kind: 'back_off' });
  expect(next(...overloaded(6))).toMatchObject({ kind: 'fall_back', to: 'anthropic/b' });
});

test('one after the other, then a person is asked, and a yes begins with the first again', () => {
  const toB = fell('recorded/a', 'anthropic/b');
  expect(read(failure('no_credit'), toB)).toMatchObject({ model: 'anthropic/b', failures: [] });
  expect(next(failure('no_credit'), toB)).toEqual({ kind: 'think' });
  const both = [failure('no_credit'), toB, by('anthropic/b', failure('no_credit'))];
  expect(next(...both)).toMatchObject({ kind: 'fall_back', from: 'anthropic/b', to: 'groq/c' });
  const all = [...both, fell('anthropic/b', 'groq/c'), by('groq/c', failure('no_credit'))];
  expect(next(...all)).toMatchObject({ kind: 'ask_how_to_go_on', about: 'model' });
  const yes = ask({ about: 'model' }, { decision: 'approve', answer: '', by: 'owner' });
  expect(read(...all, yes)).toMatchObject({ model: null, failures: [] });
});

test('a run stays with the model that it fell back to, and what another wants back is marked as its own', () => {
  const answered = by('anthropic/b', turn('Done.'));
  const state = read(failure('no_credit'), fell('recorded/a', 'anthropic/b'), {
    ...answered,
    result: { text: 'Done.', toolCalls: [], finishReason: 'stop', providerState: { parts: [] } },
  });
  expect(state.model).toBe('anthropic/b');
  expect(state.messages).toContainEqual({
    role: 'assistant',
    text: 'Done.',
    toolCalls: [],
    providerState: { model: 'anthropic/b', state: { parts: [] } },
  });
});
