import { compare } from './compare.ts';
import { openRecorder } from './record-starts.ts';

/**
 * Runs generated command lines in a sandbox that records what they start, and compares that with what the policy
 * judged. Options: `--lines N` (100,000), `--seed N`.
 */
const argv = process.argv.slice(2);
const given = (name: string, otherwise: number) =>
  argv.includes(name) ? Number(argv[argv.indexOf(name) + 1]) : otherwise;
const print = (line: string) => process.stdout.write(`${line}\n`);

let told = 0;
await using recorder = await openRecorder();
const outcome = await compare(recorder, {
  lines: given('--lines', 100_000),
  seed: given('--seed', 1_000_000),
  tell: ({ lines, missed }) => {
    for (const { line, programs } of missed.slice(told))
      print(`MISSED ${programs.join(' ')} in ${JSON.stringify(line)}`);
    told = missed.length;
    if (lines % 5_000 === 0) print(`${lines} lines, ${missed.length} missed`);
  },
});
print(
  `${outcome.lines} lines started ${outcome.started} programs; ${outcome.doubtful} are asked about as unknown`,
);
print(`${outcome.missed.length} started what was not judged`);
process.exitCode = outcome.missed.length === 0 ? 0 : 1;
