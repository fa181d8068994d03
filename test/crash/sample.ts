/** A point without its ordinal. */
export const nameOf = (point: string): string => point.slice(0, point.lastIndexOf('#'));

/** Of each kind of act so many points: those that wait long are commits, those that are many are spawns. */
const quotas: [kind: RegExp, count: number][] = [
  [/^commit:(?!migrate).*:before$/, 4],
  [/^commit:(?!migrate).*:after$/, 4],
  [/^commit:migrate/, 1],
  [/^model:/, 2],
  [/^tool:.*:before$/, 1],
  [/^tool:.*:after$/, 2],
  [/^spawn:/, 1],
];

/**
 * A few points, spread: of each kind some names, in even distances over the names in the order of their first
 * appearance, and of each name a point out of its middle. The same list gives the same points.
 */
export function samplePoints(points: readonly string[]): string[] {
  const byName = Map.groupBy(points, nameOf);
  return quotas.flatMap(([kind, count]) => {
    const names = [...byName.keys()].filter((name) => kind.test(name));
    const chosen = spread(names, count);
    return chosen.flatMap((name) => spread(byName.get(name) ?? [], 1));
  });
}

/** Of each name the point in the middle of its ordinals. */
export function oneOfEach(points: readonly string[]): string[] {
  return [...Map.groupBy(points, nameOf).values()].flatMap((same) => spread(same, 1));
}

/** So many of them, from the middles of equal parts. */
function spread<T>(items: readonly T[], count: number): T[] {
  const many = Math.min(count, items.length);
  return Array.from({ length: many }, (_, part) => Math.floor(((part + 0.5) * items.length) / many)).flatMap(
    (index) => items.slice(index, index + 1),
  );
}
