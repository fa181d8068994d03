import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../bin/hourglass.js', import.meta.url));

/** @param {string[]} args */
function hourglass(...args) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
}

test('adds up its arguments', () => {
  const { stdout, status } = hourglass('45m', '1h20m', '--long');
  assert.equal(stdout, '2 hours 5 minutes\n');
  assert.equal(status, 0);
});

test('says what it cannot read', () => {
  const { stderr, status } = hourglass('soon');
  assert.equal(stderr, 'hourglass: "soon" is not a duration\n');
  assert.equal(status, 1);
});
