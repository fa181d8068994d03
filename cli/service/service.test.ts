import { execFile } from 'node:child_process';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { mission } from '../../test/mission.ts';
import { planService, unitName, writeEnvironment } from './unit.ts';

const execute = promisify(execFile);

test('the unit says which Node, which checkout and which home, whatever is in their names', () => {
  const place = { home: '/home/a b/100%/"$x"', node: '/opt/node/bin/node', root: '/srv/mission control' };
  const { unit, environment, text } = planService({ XDG_CONFIG_HOME: '/home/a/.xdg' }, place);
  expect(unit).toBe('/home/a/.xdg/systemd/user/mission-control.service');
  expect(environment).toBe('/home/a b/100%/"$x"/service.env');
  expect(text).toContain('ExecStart="/opt/node/bin/node" "/srv/mission control/server/main.ts"\n');
  expect(text).toContain('Environment="MISSION_HOME=/home/a b/100%%/\\"$x\\""\n');
  expect(text).toContain('EnvironmentFile=-/home/a b/100%%/"$x"/service.env\n');
  expect(text).toContain('WorkingDirectory=/srv/mission control\n');
  expect(text).toContain('KillMode=mixed\n');
  expect(text).toContain('WantedBy=default.target\n');
  expect(planService({}, place).unit).toMatch(/\/\.config\/systemd\/user\/mission-control\.service$/);
});

test('systemd finds nothing wrong with the unit', async () => {
  if (!(await isInstalled('systemd-analyze'))) return;
  const root = join(import.meta.dirname, '..', '..');
  const { text } = planService({}, { home: '/home/a b/100%', node: process.execPath, root });
  expect(await complaints(text)).toEqual([]);
  expect(await complaints(text.replace('KillMode=', 'KillMood='))).toEqual([
    expect.stringContaining('KillMood'),
  ]);
});

async function isInstalled(program: string): Promise<boolean> {
  const { stdout } = await execute('sh', ['-c', `command -v ${program} || true`]);
  return stdout !== '';
}

/** What systemd says of the unit. */
async function complaints(text: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mission-unit-'));
  const file = join(folder, unitName);
  await writeFile(file, text);
  try {
    const { stdout, stderr } = await execute('systemd-analyze', ['verify', '--user', '--man=no', file], {
      env: { PATH: process.env['PATH'], HOME: folder, XDG_RUNTIME_DIR: folder },
    });
    return `${stdout}${stderr}`.split('\n').filter((line) => line.includes(unitName));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('the environment file takes what the server reads, and tells names alone', () => {
  const { text, names } = writeEnvironment({
    ANTHROPIC_API_KEY: 'sk-"quoted"$',
    MISSION_HOME: '/elsewhere',
    MISSION_PORT: '4701',
    PATH: '/bin',
    HTTPS_PROXY: 'two\nlines',
  });
  expect(names).toEqual(['ANTHROPIC_API_KEY', 'MISSION_PORT']);
  expect(text).toContain('ANTHROPIC_API_KEY="sk-\\"quoted\\"\\$"\n');
  expect(text).not.toContain('/elsewhere');
});

test('a dry run prints the unit and writes nothing; without systemd an install says so', async () => {
  const home = await mkdtemp(join(tmpdir(), 'mission-service-'));
  const env = { XDG_CONFIG_HOME: join(home, 'config') };
  const dry = await mission(home, ['service', 'install', '--dry-run'], env);
  expect(dry.status).toBe(0);
  expect(dry.stdout).toContain(`MISSION_HOME=${home}"`);
  expect(dry.stderr).toContain(join(home, 'config', 'systemd', 'user', 'mission-control.service'));
  await expect(access(join(home, 'service.env'))).rejects.toThrow();
  const hasSystemd = await execute('test', ['-d', '/run/systemd/system']).then(
    () => true,
    () => false,
  );
  if (!hasSystemd) {
    const refused = await mission(home, ['service', 'install'], env);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('was not started by systemd, so no service can be installed');
    await expect(access(join(home, 'config'))).rejects.toThrow();
  }
  expect((await mission(home, ['service', 'status'], env)).stdout).toContain('not installed');
  await rm(home, { recursive: true });
});
