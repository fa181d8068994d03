import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, test } from 'vitest';
import { openLog } from '../../log.ts';
import { takeOver } from '../gate.ts';
import { argumentsOf, awaitEnd, identifyProcess } from '../processes.ts';
import { GateClosed } from '../sandbox.ts';
import { describeSandboxContract } from '../sandbox-contract.testsuite.ts';
import { openSandboxFixture } from '../sandbox-fixture.ts';
import { gateLabel, tokenLabel } from './container-options.ts';
import { openContainerSandbox } from './container-sandbox.ts';
import { openEngine } from './engine.ts';
import { startTestEngine, type TestEngine } from './test-engine.ts';

const engine = await startTestEngine();
/** As a server that is not root has it: its own number. */
const user = { uid: 1000, gid: 1000 };

if (typeof engine === 'string') describe.skip(`sandbox contract: container (not tried: ${engine})`);
else {
  afterAll(() => engine[Symbol.asyncDispose]());
  const settings = { engine: engine.socketPath, image: engine.image };
  describeSandboxContract({
    name: 'container',
    open: (options) => openContainerSandbox({ ...options, settings, user }),
    user,
    limitsWhole: true,
    missingSource: /could not be made: .*missing/,
  });
  describeLifetime(engine);
}

function describeLifetime({ socketPath, image }: TestEngine): void {
  const settings = { engine: socketPath, image };
  const list = async () => openEngine(socketPath).listContainers({ all: true });

  test('a command ends with its server, and the next server removes its container', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sandbox-test-'));
    const mark = `death.${process.pid}`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', server(folder, settings, mark)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    await Promise.race([once(createInterface(child.stdout), 'line'), exit]);
    const started = findMarked(mark);
    expect(started.length).toBeGreaterThanOrEqual(3);
    child.kill('SIGKILL');
    await exit;
    await awaitEnd(started);

    expect((await list()).length).toBe(1);
    const log = openLog('silent');
    const another = await openContainerSandbox({ log, runtimeFolder: `${folder}-other`, settings });
    expect((await list()).length).toBe(1);
    const next = await openContainerSandbox({ log, runtimeFolder: folder, settings });
    expect(await list()).toEqual([]);
    for (const each of [another, next]) await each[Symbol.asyncDispose]();
    for (const each of [folder, `${folder}-other`]) await rm(each, { recursive: true });
  });

  test('a container that was made under an older token cannot be started once the gate was taken over', async () => {
    await using fixture = await openSandboxFixture((options) =>
      openContainerSandbox({ ...options, settings, user }),
    );
    await chown(fixture.workspace, user.uid, user.gid);
    const folder = join(fixture.folder, 'gate');
    const { sandbox } = fixture;
    await takeOver(folder, '4', { limitMs: 10_000, sandbox });
    const make = (token: string) =>
      openEngine(socketPath).createContainer({
        Image: image,
        Cmd: ['true'],
        HostConfig: { NetworkMode: 'none' },
        Labels: { [gateLabel]: folder, [tokenLabel]: token },
      });
    const [older, newer] = [await make('4'), await make('6')];
    await takeOver(folder, '5', { limitMs: 10_000, sandbox });
    await expect(older.start()).rejects.toMatchObject({ statusCode: 404 });
    await newer.start();
    await newer.remove({ force: true });
    const late = fixture.shell('true', { gate: { folder, token: '4' } });
    await expect(late).rejects.toBeInstanceOf(GateClosed);
  });

  test('what is missing is said with the line that mends it, and commands are refused', async () => {
    const runtimeFolder = await mkdtemp(join(tmpdir(), 'sandbox-test-'));
    const cases = [
      [{ engine: join(runtimeFolder, 'none.sock'), image }, /no container engine answers/, /docker/],
      [{ engine: 'tcp://10.0.0.1:2375', image }, /must be on this machine/, /DOCKER_HOST=unix:/],
      [{ engine: socketPath, image: null }, /needs an image/, /MISSION_SANDBOX_IMAGE/],
      [{ engine: socketPath, image: 'not/there:1' }, /does not have the image/, /^docker pull not\/there:1$/],
    ] as const;
    for (const [wrong, problem, mend] of cases) {
      await using sandbox = await openContainerSandbox({
        log: openLog('silent'),
        runtimeFolder,
        settings: wrong,
      });
      const finding = await sandbox.diagnose?.();
      expect(finding).toMatchObject({
        state: 'failed',
        detail: expect.stringMatching(problem),
        mend: expect.stringMatching(mend),
      });
      const run = sandbox.run({ argv: ['true'], cwd: '/tmp', mounts: [] }, new AbortController().signal);
      await expect(run).rejects.toMatchObject({ code: 'sandbox_unavailable' });
    }
    await rm(runtimeFolder, { recursive: true });
  });
}

/** A server that runs one endless command, and says so when its daemon runs too. */
function server(folder: string, settings: { engine: string; image: string }, mark: string): string {
  const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  return `
const { openContainerSandbox } = await import(${url('./container-sandbox.ts')});
const { openLog } = await import(${url('../../log.ts')});
const sandbox = await openContainerSandbox({
  log: openLog('silent'), runtimeFolder: ${JSON.stringify(folder)}, settings: ${JSON.stringify(settings)},
});
await sandbox.run({
  argv: ['/bin/sh', '-c', 'setsid sh -c "echo on; sleep 60; :" ${mark} & sleep 60; :', '${mark}'],
  cwd: '/tmp', mounts: [],
  onOutput: () => console.log('on'),
}, new AbortController().signal);`;
}

function findMarked(mark: string) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && argumentsOf(Number(name)).includes(mark))
    .flatMap((pid) => identifyProcess(Number(pid)) ?? []);
}
