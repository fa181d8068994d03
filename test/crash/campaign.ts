import { setup, teardown } from '../global-setup.ts';
import { crashAtAll, enumerate, type PointResult } from './enumerate.ts';
import { oneOfEach } from './sample.ts';

/**
 * Kills a server at every point that a run reaches, one journey a point.
 * Options: `--every N` takes each Nth point, `--match TEXT` those whose name holds it, `--side-by-side N`,
 * `--one-of-each` takes one point of each name, `--embedded` gives each server a PostgreSQL of its own.
 */
async function campaign(argv: readonly string[]): Promise<boolean> {
  const option = (name: string) => argv[argv.indexOf(name) + 1] ?? '';
  const given = (name: string, otherwise: string) => (argv.includes(name) ? option(name) : otherwise);
  const every = Number(given('--every', '1'));
  const match = given('--match', '');
  const sideBySide = Number(given('--side-by-side', '2'));

  const store = argv.includes('--embedded') ? 'embedded' : 'given';

  const { points, outcome } = await enumerate();
  const candidates = argv.includes('--one-of-each') ? oneOfEach(points) : points;
  const chosen = candidates
    .filter((point) => point.includes(match))
    .filter((_, index) => index % every === 0);
  print(`${points.length} points in a run and its merge; ${chosen.length} of them are tried`);
  const results = await crashAtAll(chosen, outcome, {
    store,
    sideBySide,
    tell: (result) => print(describe(result)),
  });
  const failed = results.filter(({ problems }) => problems.length > 0);
  for (const result of failed) print(describe(result));
  const missed = results.filter(({ reached }) => !reached).length;
  const slowest = Math.max(0, ...results.map(({ resumedAfterMs }) => resumedAfterMs ?? 0));
  print(`(a run that was held went on at most ${slowest} ms after the new start)`);
  print(`(${missed} were not reached again and simply ended well)`);
  print(`${results.length - failed.length} passed, ${failed.length} failed`);
  return failed.length === 0;
}

function describe({ point, reached, problems, seconds }: PointResult): string {
  const verdict = problems.length > 0 ? 'FAILED' : reached ? 'ok' : 'ok, not reached';
  return [`${verdict}  ${point}  ${seconds} s`, ...problems.map((problem) => `    ${problem}`)].join('\n');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

await setup();
try {
  process.exitCode = (await campaign(process.argv.slice(2))) ? 0 : 1;
} finally {
  await teardown();
}
