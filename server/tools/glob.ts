import { hole } from './command-line/segment.ts';

/** What lets a shell do more than one thing, or write elsewhere; a wildcard of an allowance stops at these. */
const operators = new Set(';&|`$(){}<>\n\r\\');

/**
 * Whether a pattern (`*` is any text) covers a command line. A wildcard covers no shell operator, so that
 * `npm test*` does not cover `npm test; curl …`; the lone `*` covers everything.
 */
export function coversCommand(pattern: string, line: string): boolean {
  return pattern === '*' || meets(pattern, line, { wildcard: (char) => !operators.has(char), holes: false });
}

/** Whether a pattern covers one command, whose words are known: a wildcard covers what they hold, but no hole. */
export function coversSegment(pattern: string, segment: string): boolean {
  return pattern === '*' || meets(pattern, segment, { wildcard: (char) => char !== hole, holes: false });
}

/** Whether a pattern matches a segment for certain, whatever its holes turn out to be. */
export function catches(pattern: string, segment: string): boolean {
  return meets(pattern, segment, { wildcard: () => true, holes: false });
}

/** Whether a pattern could match a segment, depending on what its holes turn out to be. */
export function couldCatch(pattern: string, segment: string): boolean {
  return meets(pattern, segment, { wildcard: () => true, holes: true });
}

/** Whether a path pattern matches a normalised path: `*` within a name, `**` across folders. */
export function matchesPath(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === '**') return true;
  const source = pattern
    .replace(/^\.\//, '')
    .split(/(\/\*\*$|\*\*\/|\*\*|\*)/)
    .map((piece) => pathPieces[piece] ?? escapeRegExp(piece))
    .join('');
  return new RegExp(`^${source}$`, 'su').test(path);
}

const pathPieces: Record<string, string> = {
  '/**': '(?:/.*)?',
  '**/': '(?:.*/)?',
  '**': '.*',
  '*': '[^/]*',
};

/** Whether a name with `*` in it matches, as for tools. */
export function matchesName(pattern: string, name: string): boolean {
  return meets(pattern, name, { wildcard: () => true, holes: false });
}

/**
 * Walks both texts at once and keeps every place that the pattern can be in: linear in memory, never more
 * than pattern × text in time. A hole of the text stands for any text, and so may swallow the pattern's.
 */
function meets(
  pattern: string,
  text: string,
  options: { wildcard: (char: string) => boolean; holes: boolean },
): boolean {
  let places = reachable(pattern, new Set([0]));
  for (const char of splitUnits(text)) {
    const next = new Set<number>();
    const isHole = options.holes && char === hole;
    for (const place of places) {
      if (isHole) {
        for (let end = place; end <= pattern.length; end++) next.add(end);
      } else if (pattern[place] === '*') {
        if (options.wildcard(char)) next.add(place);
      } else if (pattern[place] === char) {
        next.add(place + 1);
      }
    }
    if (next.size === 0) return false;
    places = reachable(pattern, next);
  }
  return places.has(pattern.length);
}

/** A wildcard may stand for nothing, so that its place is the next place too. */
function reachable(pattern: string, places: Set<number>): Set<number> {
  const all = new Set(places);
  for (const place of places) {
    for (let at = place; pattern[at] === '*'; at++) all.add(at + 1);
  }
  return all;
}

function* splitUnits(text: string): Iterable<string> {
  for (let at = 0; at < text.length; at++) yield text.charAt(at);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
