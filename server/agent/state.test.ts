import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Step } from '../../contract/steps.ts';
import type { Message } from '../models/model.ts';
import { decide, decideLimits } from './decide.ts';
import { coderPlaybook } from './playbook.ts';
import { readState } from './state.ts';
import {
  ask,
  briefing,
  failure,
  guidance,
  inDoubt,
  inOrder,
  intended,
  note,
  phase,
  result,
  turn,
} from './steps-fixture.ts';

const read = (...steps: Step[]) => readState(inOrder(steps), briefing);
const roles = (messages: Message[]) => messages.map((message) => message.role).join(' ');
const texts = (messages: Message[]) =>
  messages.flatMap((message) => (message.role === 'user' ? [message.text] : []));
const results = (messages: Message[]) =>
  messages.flatMap((message) =>
    message.role === 'tool' ? [message.results.map((one) => `${one.callId}=${one.output}`)] : [],
  );

describe('what the model reads', () => {
  test('begins with the task and the phase', () => {
    const { messages, phase: now } = read(phase('prepare'), phase('analyse'));
    expect(now).toBe('analyse');
    expect(texts(messages)).toEqual([
      expect.stringMatching(/^Task: Mend the sum\n\nIt adds wrongly\.[\s\S]*npm test/),
      expect.stringMatching(/^Phase: analyse\./),
    ]);
  });

  test('holds the results of several calls in one message, whatever kind each was', () => {
    const state = read(
      phase('analyse'),
      turn('I look', 'read_file a', 'note b', 'ask_human c', 'run_command d'),
      result('read_file a', 'text'),
      note('b'),
      ask({ kind: 'clarification', about: 'question', callId: 'c' }, { decision: 'answer', answer: 'blue' }),
    );
    expect(state.pending.map(({ call }) => call.id)).toEqual(['d']);
    expect(roles(state.messages)).toBe('user user assistant');
    const whole = read(
      phase('analyse'),
      turn('I look', 'read_file a', 'note b', 'ask_human c', 'run_command d'),
      result('read_file a', 'text'),
      note('b'),
      ask({ kind: 'clarification', about: 'question', callId: 'c' }, { decision: 'answer', answer: 'blue' }),
      result('run_command d', 'exit 1', {}, 'failed'),
    );
    expect(whole.pending).toEqual([]);
    expect(results(whole.messages)).toEqual([['a=text', 'b=Noted.', 'c=olga answers: blue', 'd=exit 1']]);
  });

  test('has guidance that came between a call and its result after the result', () => {
    const { messages } = read(
      phase('analyse'),
      turn('', 'read_file a', 'read_file b'),
      guidance('use blue'),
      result('read_file a', '1'),
      guidance('and green'),
      result('read_file b', '2'),
    );
    expect(roles(messages)).toBe('user user assistant tool user user');
    expect(texts(messages).slice(2)).toEqual([
      'Guidance from olga: use blue',
      'Guidance from olga: and green',
    ]);
  });

  test('says who denied a call or answered in time, and that nobody did', () => {
    const { messages } = read(
      phase('analyse'),
      turn('', 'ask_human a'),
      ask({ about: 'question', callId: 'a' }, { decision: 'expired' }),
    );
    expect(results(messages)[0]?.[0]).toContain('Nobody answered in time');
  });

  test('nudges a model that calls nothing, and names the phase it is sent back to', () => {
    const {
      messages,
      phase: now,
      finish,
    } = read(
      phase('finalise'),
      turn('', 'finish_phase a'),
      result('finish_phase a', 'ok', { summary: 's', title: null, description: null }),
      guidance('a check is red', 'implement'),
      turn('I think'),
    );
    expect([now, finish]).toEqual(['implement', null]);
    expect(texts(messages).at(-1)).toContain('call a tool');
    expect(texts(messages).at(-2)).toMatch(/^Phase: implement/);
  });
});

describe('what the steps come to', () => {
  test('an approval belongs to its call, and is good for one try', () => {
    const asked = [phase('implement'), turn('', 'run_command a'), ask({ callId: 'a' })];
    expect([...read(...asked).approvals.keys()]).toEqual(['a']);
    const doubted = read(...asked, inDoubt(result('run_command a', '')));
    expect(doubted.approvals.size).toBe(0);
    expect(doubted.pending).toHaveLength(1);
  });

  test('turns that say nothing, only talk, or do the same again are counted, until something else happens', () => {
    const same = (id: string) => [turn('', `read_file ${id}`), result(`read_file ${id}`, 'x')];
    expect(read(phase('plan'), turn(''), turn('')).emptyTurns).toBe(2);
    expect(read(phase('plan'), turn(''), turn('hm'))).toMatchObject({ emptyTurns: 0, idleTurns: 2 });
    expect(read(phase('plan'), ...same('a'), ...same('b'), ...same('c'))).toMatchObject({
      sameTurns: 2,
      idleTurns: 0,
    });
    expect(read(phase('plan'), turn('hm'), turn(''), ...same('a'))).toMatchObject({
      emptyTurns: 0,
      idleTurns: 0,
    });
    expect(read(phase('plan'), turn('hm'), ask({ about: 'loop' }))).toMatchObject({
      idleTurns: 0,
      turns: 0,
      refusedToGoOn: null,
    });
  });

  test('failures are counted until an answer, or until a person lets it try again', () => {
    const failed = [phase('plan'), failure('overloaded'), failure('timeout')];
    expect(read(...failed).failures).toHaveLength(2);
    expect(read(...failed, turn('hm')).failures).toEqual([]);
    expect(read(...failed, ask({ about: 'model' })).failures).toEqual([]);
    expect(read(...failed, ask({ about: 'model' }, { decision: 'deny' })).refusedToGoOn).toMatchObject({
      about: 'model',
    });
    const advised = read(...failed, ask({ about: 'model' }, { answer: 'take your time' }));
    expect(texts(advised.messages).at(-1)).toBe('olga says: take your time');
  });
});

/** What a run may do in its turns, as steps with the moment of each intent. */
const callKinds = ['done', 'failed', 'note', 'question', 'approved', 'denied', 'finish'] as const;
const act = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('turn' as const),
      text: fc.constantFrom('', 'hm', 'so'),
      calls: fc.array(fc.constantFrom(...callKinds), { maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('failure' as const),
      of: fc.constantFrom('overloaded', 'authentication', 'recording_mismatch', 'stream_broken'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('guidance' as const), back: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('trouble' as const),
      about: fc.constantFrom('model', 'budget', 'loop', 'checks'),
      approve: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('phase' as const),
      name: fc.constantFrom(...coderPlaybook.phases.map((each) => each.name)),
    }),
  },
);
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

function stepsOfCall(kind: (typeof callKinds)[number], id: string): Step[] {
  if (kind === 'note') return [note(id)];
  if (kind === 'question')
    return [
      ask({ kind: 'clarification', about: 'question', callId: id }, { decision: 'answer', answer: 'x' }),
    ];
  if (kind === 'finish')
    return [result(`finish_phase ${id}`, 'ok', { summary: 's', title: null, description: null })];
  if (kind === 'approved') return [ask({ callId: id }), result(`run_command ${id}`, id)];
  if (kind === 'denied')
    return [ask({ callId: id }, { decision: 'deny' }), result(`run_command ${id}`, 'no', {}, 'failed')];
  return [result(`read_file ${id}`, id, {}, kind)];
}

function play(acts: readonly Act[]): Step[] {
  const steps: Step[] = [phase('prepare'), phase('analyse')];
  for (const [index, each] of acts.entries()) {
    if (each.kind === 'turn') {
      const ids = each.calls.map((_, at) => `c${index}_${at}`);
      const names = {
        done: 'read_file',
        failed: 'read_file',
        note: 'note',
        question: 'ask_human',
        approved: 'run_command',
        denied: 'run_command',
        finish: 'finish_phase',
      };
      steps.push(turn(each.text, ...each.calls.map((call, at) => `${names[call]} ${ids[at]}`)));
      each.calls.forEach((call, at) => void steps.push(...stepsOfCall(call, ids[at] ?? '')));
    } else if (each.kind === 'failure') steps.push(failure(each.of));
    else if (each.kind === 'guidance') steps.push(guidance(`g${index}`, each.back ? 'implement' : undefined));
    else if (each.kind === 'trouble')
      steps.push(
        ask({ kind: 'proposal', about: each.about }, { decision: each.approve ? 'approve' : 'deny' }),
      );
    else steps.push(phase(each.name));
  }
  return inOrder(steps);
}

/** Every answer with calls is followed at once by their results, one each, and results stand nowhere else. */
function expectPaired(messages: Message[], pending: number): void {
  for (const [index, message] of messages.entries()) {
    const before = messages[index - 1];
    const calls = before?.role === 'assistant' ? before.toolCalls.map((call) => call.id) : [];
    if (message.role === 'tool')
      expect(message.results.map((one) => one.callId).toSorted()).toEqual(calls.toSorted());
    else expect(calls).toEqual([]);
  }
  const last = messages.at(-1);
  expect(last?.role === 'assistant' && last.toolCalls.length > 0).toBe(pending > 0);
}

const judge = (steps: readonly Step[]) => {
  const state = readState(steps, briefing);
  return { state, decision: decide(state, coderPlaybook, decideLimits) };
};

test('from any prefix of any run, before and after each result, there is a next thing to do', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 12 }), (acts) => {
      const steps = play(acts);
      for (let length = 0; length < steps.length; length++) {
        const before = steps.slice(0, length);
        const { state } = judge(before);
        if (state.messages.length > 0) expectPaired(state.messages, state.pending.length);
        const next = steps[length];
        if (next === undefined || next.kind === 'note' || next.kind === 'guidance') continue;
        const { state: open, decision } = judge([...before, intended(next)]);
        expect(open.messages).toEqual(state.messages);
        expect(decision).toMatchObject({
          kind: next.kind === 'ask' ? 'await_answer' : 'recover',
          step: { seq: next.seq },
        });
      }
    }),
    { numRuns: 150 },
  );
});

test('a crash at any model call or tool call leaves no mark in what the model reads, or in what is done next', () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 1, maxLength: 10 }), fc.nat(), (acts, seed) => {
      const steps = play(acts);
      const at = seed % steps.length;
      const crashed = steps[at];
      fc.pre(crashed?.kind === 'model' || crashed?.kind === 'tool');
      if (crashed === undefined) return;
      // A model call in doubt is made anew; a tool call ends in its own step, or in a second one where it was in doubt.
      const again = inOrder([...steps.slice(0, at), inDoubt(crashed), ...steps.slice(at)]);
      const without = judge(steps);
      const withCrash = judge(again);
      expect(withCrash.state.messages).toEqual(without.state.messages);
      expect(withCrash.decision.kind).toBe(without.decision.kind);
      expect(withCrash.state.pending.map(({ call }) => call)).toEqual(
        without.state.pending.map(({ call }) => call),
      );
    }),
    { numRuns: 200 },
  );
});
