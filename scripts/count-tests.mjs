/**
 * `count-tests.mjs REPORT STATUS`: prints "N passed, N failed" from Vitest's JSON report and the runner's exit status.
 * A file that did not load and a runner that crashed count as failed, so that a green line is never a lie.
 */
import { readFileSync } from 'node:fs';

const [file = '', statusText = '1'] = process.argv.slice(2);
const runnerFailed = statusText !== '0';
const report = read(file);
const passed = report?.numPassedTests ?? 0;
let failed = report?.numFailedTests ?? 0;
for (const each of report?.testResults ?? []) {
  if (each.status === 'failed' && !each.assertionResults.some((test) => test.status === 'failed')) failed++;
}
if (failed === 0 && (runnerFailed || report === null || passed === 0)) {
  process.stderr.write(`the test runner itself failed (exit status ${statusText})\n`);
  failed = 1;
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 ? 1 : 0;

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    process.stderr.write(`no report of the tests: ${error.message}\n`);
    return null;
  }
}
