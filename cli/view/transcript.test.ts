import { describe, expect, test } from 'vitest';
import type { Step } from '../../contract/steps.ts';
import { checkStep, endedTool, modelStep, phaseStep, plain, saidStep, toolStep } from './step-fixture.ts';
import { Transcript } from './transcript.ts';

function open() {
  let text = '';
  const transcript = new Transcript((piece) => {
    text += piece;
  }, plain);
  return { transcript, text: () => text };
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

describe('text of a model', () => {
  test('comes live, and its rest with the step, nothing twice', () => {
    const { transcript, text } = open();
    transcript.add(modelStep(1), true);
    transcript.live(1, 'The carry is ');
    transcript.live(1, 'lost in sp');
    expect(text()).toBe(`\n── implement ${'─'.repeat(67)}\n\n  The carry is lost in`);
    transcript.add(saidStep(1, 'The carry is lost in split.'), true);
    expect(text()).toContain('  The carry is lost in split.\n');
    expect(count(text(), 'carry')).toBe(1);
  });

  test('is shown whole where none came live, and once where the step is seen again', () => {
    const { transcript, text } = open();
    const said = saidStep(1, 'All of it.');
    transcript.add(said, true);
    transcript.add(said, true);
    expect(count(text(), 'All of it.')).toBe(1);
  });

  test('that comes before its step is known is kept for it', () => {
    const { transcript, text } = open();
    transcript.live(1, 'Early ');
    expect(text()).toBe('');
    transcript.add(modelStep(1), true);
    transcript.live(1, 'bird.');
    transcript.add(saidStep(1, 'Early bird.'), true);
    expect(text()).toContain('  Early bird.\n');
  });

  test('is not begun in the middle: who joins late gets it whole at its end', () => {
    const { transcript, text } = open();
    transcript.add(modelStep(1), false);
    transcript.live(1, 'second half.');
    transcript.add(saidStep(1, 'First half, second half.'), true);
    expect(count(text(), 'second half.')).toBe(1);
    expect(text()).toContain('  First half, second half.\n');
  });

  test('after a gap goes on where it stood', () => {
    const { transcript, text } = open();
    transcript.add(modelStep(1), true);
    transcript.live(1, 'One ');
    transcript.interrupt();
    transcript.live(1, 'three');
    transcript.add(saidStep(1, 'One two three'), true);
    expect(text()).toContain('  One two three\n');
  });

  test('that is other than what came live is said again in full', () => {
    const { transcript, text } = open();
    transcript.add(modelStep(1), true);
    transcript.live(1, 'Something else ');
    transcript.add(saidStep(1, 'The answer.'), true);
    expect(text()).toContain('(the same in full)\n  The answer.\n');
  });

  test('that comes after its step has ended is not shown again', () => {
    const { transcript, text } = open();
    transcript.add(saidStep(1, 'All said.'), true);
    transcript.live(1, 'said.');
    transcript.add(modelStep(2), true);
    transcript.live(1, 'said.');
    expect(count(text(), 'said.')).toBe(1);
  });

  test('and its failure are both shown', () => {
    const { transcript, text } = open();
    transcript.add(modelStep(1), true);
    transcript.live(1, 'Half a ');
    const error = { class: 'rate_limited' as const, message: 'slow down', retryAfterMs: 2_000 };
    transcript.add({ ...modelStep(1, 2), status: 'failed', error }, true);
    expect(text()).toContain(
      '  Half a\n  ✗ model call failed (attempt 2): rate_limited, asked to wait 2.0 s: slow down\n',
    );
  });
});

describe('acts', () => {
  test('show when they start and what they came to', () => {
    const { transcript, text } = open();
    const call = toolStep(1, 'run_command', { command: 'npm test' });
    transcript.add(call, true);
    expect(text()).toBe('  ▸ run_command  npm test\n');
    transcript.add(
      endedTool(call, { ok: false, output: '[exit status 1 after 0.2 s]\nfail 1', exitCode: 1 }),
      true,
    );
    expect(text()).toBe('  ▸ run_command  npm test\n    fail 1\n    ✗ exit 1 · 250 ms\n');
  });

  test('say their name again where something came in between', () => {
    const { transcript, text } = open();
    const call = toolStep(1, 'read_file', { path: 'a.js' });
    transcript.add(call, true);
    transcript.add(toolStep(2, 'read_file', { path: 'b.js' }), true);
    transcript.add(endedTool(call, { ok: true, output: 'a\nb\n' }), true);
    expect(text()).toContain('    ✓ read_file: 2 lines · 250 ms\n');
  });

  test('show the diff of an edit, and contents only there', () => {
    const { transcript, text } = open();
    const call = toolStep(1, 'edit_file', { path: 'a.js', old_text: 'old', new_text: 'new' });
    const diff = '--- a/a.js\n+++ b/a.js\n@@ -1 +1 @@\n-old\n+new\n';
    transcript.add(endedTool(call, { ok: true, output: diff, diff }), true);
    expect(text()).toBe('  ▸ edit_file  a.js\n    @@ -1 +1 @@\n    -old\n    +new\n    ✓ 250 ms\n');
  });

  test('show the class of a refusal', () => {
    const { transcript, text } = open();
    const error = { class: 'denied' as const, message: 'the policy denies git push' };
    transcript.add({ ...toolStep(1, 'run_command', { command: 'git push' }), status: 'failed', error }, true);
    expect(text()).toContain('✗ denied: the policy denies git push');
  });
});

test('a phase has a heading, and an end with its summary, tokens and money', () => {
  const { transcript, text } = open();
  const finish = toolStep(3, 'finish_phase', { summary: 'Both parts work.' });
  const steps: Step[] = [
    phaseStep(1, 'gather_context'),
    { ...saidStep(2, 'Done.'), intent: { ...modelStep(2).intent, phase: 'gather_context' } },
    endedTool(finish, { ok: true, output: 'Phase finished: Both parts work.' }),
  ];
  for (const step of steps) transcript.add(step, true);
  expect(text().split('\n').slice(1)).toEqual([
    `── gather context ${'─'.repeat(62)}`,
    '',
    '  Done.',
    '',
    '  Both parts work.',
    '  gather context ends · 1 model call · 1.2k tokens (400 from cache) · $0.0030 · 250 ms',
    '',
  ]);
});

test('checks of the change have a heading of their own, and a red one its output', () => {
  const { transcript, text } = open();
  const check = checkStep(1, 'change');
  transcript.add(check, true);
  const result = {
    exitCode: 1,
    outcome: 'failed' as const,
    durationMs: 1_500,
    setupKey: '',
    excerpt: 'not ok 1',
  };
  transcript.add({ ...check, status: 'done', result }, true);
  expect(text()).toContain('── checks ─');
  expect(text()).toContain(
    '  ▸ npm test  check on the change 01234567\n    not ok 1\n    ✗ failed · exit 1 · 1.5 s\n',
  );
});

test('what tools and models write cannot steer the terminal', () => {
  const { transcript, text } = open();
  const call = toolStep(1, 'run_command', { command: 'printf "\u001B]0;title\u0007"' });
  transcript.add(call, true);
  transcript.add(
    endedTool(call, { ok: true, output: '\u001B[2J\u001B[31mred\u001B[0m\rover\u202Ewritten', exitCode: 0 }),
    true,
  );
  transcript.add(modelStep(2), true);
  transcript.live(1, '\u001B');
  transcript.live(1, '[2Jcleared ');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  expect(text()).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202E]/);
  expect(text()).toContain('    red\n    overwritten\n');
});
