import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const main = join(import.meta.dirname, 'main.ts');

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'mission-cli-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

interface Ended {
  status: number | string;
  stdout: string;
  stderr: string;
}

function mission(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH, MISSION_HOME: home };
    execFile(process.execPath, [main, ...args], { env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : (error.code ?? 'signal'), stdout, stderr });
    });
  });
}

test('without a server every command says how to start it', async () => {
  const ended = await mission('status');
  expect(ended.status).toBe(3);
  expect(ended.stdout).toBe('');
  expect(ended.stderr).toContain('Start it with: mission up');
  const json = await mission('watch', 'run_00000000000000000', '--json');
  expect(json.status).toBe(3);
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: 'unreachable', exit: 3 } });
});

test('a server that has gone is told from one that never was', async () => {
  await writeFile(join(home, 'cli.json'), JSON.stringify({ url: 'http://127.0.0.1:9', key: 'k', pid: 1 }));
  const ended = await mission('pause', 'run_00000000000000000');
  await rm(join(home, 'cli.json'));
  expect(ended.status).toBe(3);
  expect(ended.stderr).toContain('at http://127.0.0.1:9 cannot be reached');
});

test('a wrong command line ends with 2 and says what was meant', async () => {
  const ended = await mission('statsu');
  expect(ended.status).toBe(2);
  expect(ended.stderr).toContain('Did you mean status?');
  expect((await mission('run', 'task')).status).toBe(2);
  expect((await mission('run', 'task', '--repo', '.', '--usd', '-1')).status).toBe(2);
});

test('a dry run shows what would be asked, as data', async () => {
  const ended = await mission(
    'run',
    'Mend it',
    '--repo',
    'lib',
    '--check',
    'npm test',
    '--dry-run',
    '--json',
  );
  expect(ended.status).toBe(0);
  expect(JSON.parse(ended.stdout)).toEqual({
    instructions: 'Mend it',
    repository: join(process.cwd(), 'lib'),
    checks: ['npm test'],
  });
});

test('a reader that goes away ends it quietly', async () => {
  const child = spawn(process.execPath, [main, 'doctor'], {
    env: { PATH: process.env.PATH, MISSION_HOME: home },
  });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await new Promise((resolve) => child.once('close', resolve));
  expect(stderr).toBe('');
});
