import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pulse } from './pulse.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('each member is told once a period, and not all of them at one moment', () => {
  const pulse = new Pulse(1_000);
  const told = new Map<number, number>();
  let now = 0;
  const moments = new Set<number>();
  for (let member = 0; member < 100; member++) {
    pulse.join({
      beat: () => {
        told.set(member, (told.get(member) ?? 0) + 1);
        moments.add(now);
      },
    });
  }
  for (; now < 3_000; now += 10) vi.advanceTimersByTime(10);
  expect(told.size).toBe(100);
  expect(new Set(told.values())).toEqual(new Set([3]));
  expect(moments.size).toBeGreaterThan(50);
});

test('who has left is told nothing, and without members there is no timer', () => {
  const pulse = new Pulse(1_000);
  let beats = 0;
  const one = { beat: () => void beats++ };
  pulse.join(one);
  vi.advanceTimersByTime(1_500);
  expect(beats).toBeGreaterThan(0);
  pulse.leave(one);
  const before = beats;
  vi.advanceTimersByTime(5_000);
  expect(beats).toBe(before);
  expect(vi.getTimerCount()).toBe(0);
});
