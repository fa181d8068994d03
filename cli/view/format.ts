import type { Waiting } from '../../contract/waiting.ts';

/** @param micros millionths of a dollar */
export function money(micros: number): string {
  const dollars = micros / 1e6;
  return `$${dollars.toFixed(dollars > 0 && dollars < 1 ? 4 : 2)}`;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

export function tokens(number: number): string {
  if (number < 1_000) return `${number} tokens`;
  if (number < 999_950) return `${(number / 1_000).toFixed(1)}k tokens`;
  return `${(number / 1_000_000).toFixed(2)}M tokens`;
}

export function duration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1_000).toFixed(1)} s`;
  const minutes = Math.round(milliseconds / 60_000);
  if (milliseconds < 3_570_000) {
    const seconds = Math.round(milliseconds / 1_000);
    return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
  if (minutes < 2_880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(minutes / 1_440)} days`;
}

/** Time between two timestamps of one step, or nothing while it is under way. */
export function elapsed({ startedAt, endedAt }: { startedAt: string; endedAt: string | null }): string {
  return endedAt === null ? '' : duration(Date.parse(endedAt) - Date.parse(startedAt));
}

/** `until 21:30 (in 12 min)`; with the day where it is another one. */
export function until(deadline: string, now: Date): string {
  const at = new Date(deadline);
  const two = (number: number) => String(number).padStart(2, '0');
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `;
  const left = at.getTime() - now.getTime();
  const when = left > 0 ? `in ${duration(left)}` : `${duration(-left)} ago`;
  return `until ${at.toDateString() === now.toDateString() ? '' : day}${clock} (${when})`;
}

const atDeadlineWords: Record<Waiting['atDeadline'], string> = {
  deny: 'then it counts as denied',
  retry: 'then it is tried again',
  fail: 'then it fails',
  remind: 'then the owner is reminded',
};

export function atDeadline(what: Waiting['atDeadline']): string {
  return atDeadlineWords[what];
}

export function shortCommit(commit: string): string {
  return commit.slice(0, 8);
}
