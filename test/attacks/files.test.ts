import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChangeView } from '../../contract/changes.ts';
import type { RunView } from '../../contract/runs.ts';
import type { ToolStep } from '../../contract/steps.ts';
import { registerAgent } from '../../server/domain/principals/principals.ts';
import {
  commit,
  finish,
  git,
  House,
  mendedSum,
  shell,
  sumProject,
  type Turn,
  toWork,
  write,
} from '../e2e/house.ts';
import { plantedConfigurations } from './planted-configurations.ts';

let house: House;
beforeAll(async () => {
  house = await House.open();
  await registerAgent(house.database, {
    name: 'obedient',
    role: 'developer',
    prompt: 'Work.',
    model: 'recorded/none',
    playbook: 'coder',
    policy: [{ effect: 'allow', tool: '*' }],
  });
});
afterAll(() => house[Symbol.asyncDispose]());

const work = { agent: 'obedient' };
const ask: Turn = { calls: [['ask_human', { question: 'And now?' }]] };

async function results(runId: string) {
  return (await house.steps(runId))
    .filter((step): step is ToolStep => step.kind === 'tool' && step.name !== 'finish_phase')
    .map(({ name, status, result }) => ({ name, status, output: result?.output ?? '' }));
}

describe('26: paths that lead out of the workspace', () => {
  test('are refused after every link is followed, and written through by nobody', async () => {
    const victim = join(house.folder, 'victim-26');
    mkdirSync(victim);
    writeFileSync(join(victim, 'secret'), 'of the host');
    const repository = house.repository(sumProject);
    symlinkSync(victim, join(repository, 'out'));
    symlinkSync('/etc', join(repository, 'etc'));
    symlinkSync(join(victim, 'made'), join(repository, 'dangling'));
    symlinkSync('../..', join(repository, 'src', 'up'));
    git(repository, 'add', '-A');
    git(repository, 'commit', '-q', '-m', 'links');
    const paths = [
      ...[
        '../etc/passwd',
        '/etc/passwd',
        'src/../../etc/passwd',
        'out/secret',
        'etc/passwd',
        'src/up/etc/passwd',
      ],
      ...[
        '/workspace-evil/x',
        '../workspace-evil/x',
        join(victim, 'secret'),
        '.git/config',
        '/proc/1/environ',
      ],
    ];
    const encoded = [
      '%2e%2e/%2e%2e/etc/passwd',
      '..%2fetc%2fpasswd',
      '..\\..\\etc\\passwd',
      '．．/etc/passwd',
    ];
    const written = ['out/x', 'etc/cron.d/x', 'dangling', '../x', '.git/hooks/pre-commit', '/tmp/x/../../x'];
    const { run } = await house.start(
      [
        ...toWork,
        { calls: paths.map((path) => ['read_file', { path }]) },
        { calls: encoded.map((path) => ['read_file', { path }]) },
        { calls: written.map((path) => ['write_file', { path, content: 'pwned' }]) },
        ask,
      ],
      { ...work, repository, checks: ['true'] },
    );
    const rest = await house.rest(run.id);
    expect(rest.ask?.question).toBe('And now?');
    const told = await results(run.id);
    const outputs = told.slice(0, paths.length + encoded.length + written.length);
    expect(outputs.filter(({ status }) => status !== 'failed')).toEqual([]);
    for (const { output } of [
      ...outputs.slice(0, paths.length),
      ...outputs.slice(paths.length + encoded.length),
    ])
      expect(output).toMatch(/leads out of the workspace|expected a path inside the workspace/);
    expect(readdirSync(victim)).toEqual(['secret']);
    expect(JSON.stringify(told)).not.toMatch(/of the host|root:x:/);
  });

  test('their twins, links and dots within it, are followed', async () => {
    const repository = house.repository({
      ...sumProject,
      'data/a.txt': 'here\n',
      'data-two/b.txt': 'there\n',
    });
    symlinkSync('data', join(repository, 'alias'));
    git(repository, 'add', '-A');
    git(repository, 'commit', '-q', '-m', 'a link');
    const { run } = await house.start(
      [
        ...toWork,
        {
          calls: [
            ['read_file', { path: './data/../alias/a.txt' }],
            ['read_file', { path: 'data-two/b.txt' }],
            ['write_file', { path: 'alias/new/c.txt', content: 'written' }],
            ['read_file', { path: 'data/new/c.txt' }],
          ],
        },
        ask,
      ],
      { ...work, repository, checks: ['true'] },
    );
    await house.rest(run.id);
    const outputs = (await results(run.id)).map(({ status, output }) => `${status} ${output}`);
    expect(outputs[0]).toMatch(/^done .*here/s);
    expect(outputs[1]).toMatch(/^done .*there/s);
    expect(outputs[3]).toMatch(/^done .*written/s);
  });
});

describe('27 and 28: what an agent leaves for the host to trip over', () => {
  test('is neither run nor followed by any act of the control plane', async () => {
    const victim = join(house.folder, 'victim-28');
    const executed = join(house.folder, 'executed');
    for (const folder of [victim, executed]) {
      mkdirSync(folder);
      chmodSync(folder, 0o777);
    }
    const repository = house.repository(sumProject);
    git(repository, 'checkout', '-q', '-b', 'elsewhere');
    const planted = plantedConfigurations(executed, victim);
    const { task, run } = await house.start(
      [
        ...toWork,
        write('plant.sh', planted.script),
        shell('sh plant.sh; rm plant.sh; echo planted'),
        write('src/sum.js', mendedSum),
        { ...commit, contains: [] },
        shell('git commit -q --allow-empty --no-verify -m "and again"; git status --short; echo seen'),
        finish,
        finish,
        finish,
      ],
      { ...work, repository, branch: 'main', checks: ['node -e 0'] },
    );
    const rest = await house.rest(run.id);
    expect([rest.run.status, rest.run.outcome, rest.ask?.question]).toEqual([
      'succeeded',
      expect.anything(),
      undefined,
    ]);
    const [change] = await house.changes(task.id);
    if (change === undefined) throw new Error('there is no change');
    expect(change.receipt.verdict).toBe('passed');
    const diff = await (await house.fetch(`/changes/${change.id}/diff`)).text();
    expect(diff).toContain('.gitattributes');
    expect((await act(change, 'merge')).status).toBe('succeeded');
    expect(git(repository, 'rev-parse', 'main')).toBe(change.commit);
    expect((await act(change, 'revert')).status).toBe('succeeded');
    expect(readdirSync(executed)).toEqual([]);
    expect(readdirSync(victim)).toEqual([]);
    expectLive(run.id, executed);
  }, 180_000);

  async function act(change: ChangeView, what: 'merge' | 'revert'): Promise<RunView> {
    const { run } = await house.ask<{ run: RunView }>('POST', `/changes/${change.id}/${what}`, {});
    return (await house.rest(run.id)).run;
  }

  /** The same configuration does act where somebody's own git trusts it: so the proof above is one. */
  function expectLive(runId: string, executed: string) {
    const place = join(house.folder, 'home/runs', runId);
    const copy = join(house.folder, 'trusted');
    cpSync(join(place, 'files'), copy, { recursive: true, verbatimSymlinks: true });
    cpSync(join(place, 'git'), join(copy, '.git'), { recursive: true, verbatimSymlinks: true });
    expect(existsSync(join(copy, '.git/config'))).toBe(true);
    const options = { cwd: copy, stdio: 'ignore', env: { PATH: process.env.PATH, HOME: copy } } as const;
    try {
      execFileSync('git', ['status'], options);
    } catch (error) {
      // What it is made to run may break it; only that it ran matters.
      if (!(error instanceof Error)) throw error;
    }
    expect(readdirSync(executed).length).toBeGreaterThan(0);
  }
});

describe('29: what a command leaves behind or looks for outside', () => {
  test('no orphan after its time, no process or socket of the host; its own work goes on', async () => {
    const mark = `29.${process.pid}`;
    const { run } = await house.start(
      [
        ...toWork,
        {
          calls: [
            ['run_command', { command: `(setsid nohup sleep ${mark} &) ; sleep 60`, timeout_seconds: 1 }],
          ],
        },
        shell(
          `ls /proc | grep -c "^[0-9]" | awk '{ print ($1 < 12) ? "few" : "many" }'; kill -0 ${process.pid} 2>&1; ls /var/run/docker.sock /run/containerd 2>&1; find / -xdev -type s 2>/dev/null | wc -l; pgrep -f "sleep ${mark}" | wc -l`,
        ),
        shell('node -e "setTimeout(() => console.log(1 + 1), 50)"'),
        ask,
      ],
      { ...work, checks: ['true'] },
    );
    await house.rest(run.id);
    const [late, look, own] = await results(run.id);
    expect(late?.output).toMatch(/took too long|time|limit/i);
    expect(look?.output).toContain('few\n');
    expect(look?.output).toMatch(/No such process[\s\S]*No such file[\s\S]*\n0\n/);
    expect(own?.output).toContain('2');
    const everybody = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
    expect(everybody.split('\n').filter((line) => line.trim() === `sleep ${mark}`)).toEqual([]);
  });
});
