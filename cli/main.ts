import { createProgram } from './program.ts';

process.exitCode = await createProgram(process.argv.slice(2));
