import { execFile } from 'node:child_process';
import { join } from 'node:path';

const main = join(import.meta.dirname, '..', 'cli', 'main.ts');

export interface Ended {
  status: number | string;
  stdout: string;
  stderr: string;
}

/** The real command, as a person at the home's machine gives it. */
export function mission(
  home: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], MISSION_HOME: home, ...env },
      timeout: 60_000,
      maxBuffer: 64 * 1024 ** 2,
    };
    execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : (error.code ?? 'signal'), stdout, stderr });
    });
  });
}
