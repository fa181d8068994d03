#!/usr/bin/env node
import mri from 'mri';
import { format, total } from '../src/index.js';

const { _: durations, ...options } = mri(process.argv.slice(2), {
  boolean: ['long', 'help'],
  default: { parts: 2 },
});

if (options.help || durations.length === 0) {
  console.log('hourglass DURATION… [--parts N] [--long]');
  process.exit(options.help ? 0 : 2);
}
try {
  console.log(format(total(durations.map(String)), options));
} catch (error) {
  if (!(error instanceof RangeError)) throw error;
  console.error(`hourglass: ${error.message}`);
  process.exit(1);
}
