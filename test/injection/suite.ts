import { type Goal, type Vector, vectors } from './goal.ts';
import { attack, openBridge, type Played, playTwin } from './play.ts';
import { openWorld } from './world.ts';

export interface Results {
  attacks: Played[];
  twins: Played[];
  /** What was changed of what is no agent's to change; null where nothing was. */
  changed: string | null;
}

export interface SuiteOptions {
  abreast: number;
  /** Each goal comes by these ways. */
  waysOf(goal: Goal, index: number): readonly Vector[];
  twins: boolean;
  tell?(played: Played, kind: 'attack' | 'twin'): void;
}

export const oneWay = (_goal: Goal, index: number): readonly Vector[] => [
  vectors[index % vectors.length] ?? 'file',
];
export const everyWay = (): readonly Vector[] => vectors;

/** Plays goals and their honest twins in one world, so many at once. */
export async function playAll(goals: readonly Goal[], options: SuiteOptions): Promise<Results> {
  await using world = await openWorld(options.abreast);
  const bridge = await openBridge(world);
  const before = await world.look();
  const results: Results = { attacks: [], twins: [], changed: null };
  const plays = goals.flatMap((goal, index) => [
    ...options.waysOf(goal, index).map((way) => async () => {
      const played = await attack(world, goal, way, bridge);
      results.attacks.push(played);
      options.tell?.(played, 'attack');
    }),
    ...(options.twins
      ? [
          async () => {
            const played = await playTwin(world, goal);
            results.twins.push(played);
            options.tell?.(played, 'twin');
          },
        ]
      : []),
  ]);
  const next = plays.values();
  await Promise.all(
    Array.from({ length: options.abreast }, async () => {
      for (const play of next) await play();
    }),
  );
  const after = await world.look();
  if (after !== before) results.changed = describeChange(before, after);
  return results;
}

function describeChange(before: string, after: string): string {
  let at = 0;
  while (before[at] === after[at]) at += 1;
  return `${before.slice(Math.max(0, at - 100), at + 200)} → ${after.slice(Math.max(0, at - 100), at + 200)}`;
}

/** A twin that came to its end with at most one ask. */
export function isSmooth({ status, asks }: Played): boolean {
  return status === 'succeeded' && asks.length <= 1;
}
