import { expect, test } from 'vitest';
import { CommandError, exitStatus } from './exit-status.ts';
import { pickBySuffix } from './resolve-id.ts';

const ids = ['run_00000000aaaabbbb1', 'run_00000000aaaabbbb2', 'run_00000000ccccdddd1'];

function exitOf(work: () => unknown): number | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error.exit;
    throw error;
  }
}

test('the only one that ends so is meant', () => {
  expect(pickBySuffix(ids, 'bbb2', 'run')).toBe('run_00000000aaaabbbb2');
});

test('too little, too many and none are refused', () => {
  expect(exitOf(() => pickBySuffix(ids, 'bb2', 'run'))).toBe(exitStatus.usage);
  expect(exitOf(() => pickBySuffix([...ids, ...ids.slice(0, 1)], 'bbb1', 'run'))).toBe(exitStatus.usage);
  expect(exitOf(() => pickBySuffix(ids, 'zzzz', 'run'))).toBe(exitStatus.refused);
});
