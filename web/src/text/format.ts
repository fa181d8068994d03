const dollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });

/** @param micros millionths of a US dollar */
export function money(micros: number): string {
  if (micros > 0 && micros < 5_000) return '< $0.01';
  return dollars.format(micros / 1e6);
}

export function tokens(count: number): string {
  if (count < 1_000) return String(count);
  if (count < 99_950) return `${(count / 1_000).toFixed(1)}k`;
  if (count < 999_500) return `${Math.round(count / 1_000)}k`;
  return `${(count / 1e6).toFixed(1)}M`;
}

/** A span in the two largest units that matter. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1_000;
  if (seconds < 0.9995) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) {
    const rest = minutes % 60;
    return rest === 0 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
  }
  return `${Math.round(minutes / 1_440)} d`;
}

/** As `span`, in whole seconds from the start: for what counts up before the eyes. */
export function elapsed(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000));
  return seconds < 60 ? `${seconds} s` : span(seconds * 1_000);
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
});
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });

export function clockTime(iso: string | number): string {
  return clock.format(new Date(iso));
}

export function wholeTime(iso: string | number): string {
  return whole.format(new Date(iso));
}

/** `6 min ago`, `in 54 min`. */
export function relative(iso: string | number, now: number): string {
  const distance = new Date(iso).getTime() - now;
  if (Math.abs(distance) < 1_500) return 'now';
  return distance < 0 ? `${elapsed(-distance)} ago` : `in ${elapsed(distance)}`;
}

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

export function shortCommit(commit: string): string {
  return commit.slice(0, 9);
}

/** `gather_context` as a person says it. */
export function words(identifier: string): string {
  const text = identifier.replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The last two parts of a path or the path of a URL. */
export function repositoryName(location: string): string {
  const path = location.replace(/^\w+:\/\/[^/]+\//, '').replace(/\/+$/, '');
  return path.split('/').slice(-2).join('/');
}
