import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openSandboxFixture } from '../../server/computers/sandbox-fixture.ts';
import { starters } from './command-lines.ts';
import { leaves } from './line-parts.ts';

/** Programs are found here by the lines; each says that it was started, in the log of the line that found it. */
const saySo = `n=\${0%/*}; printf "%s\\n" "\${0##*/}" >>/tmp/log/"\${n##*/}"`;

/** Runs each line of a batch by bash, in a folder and with a log of its own, a few at a time. */
const runner = `
mkdir /tmp/log
unset BASH_ENV ENV
n=0
while [ -e "/workspace/lines/$n" ]; do
  (
    cd "/workspace/folders/$n"
    IFS= read -rd '' line < "/workspace/lines/$n"
    export PATH=/workspace/names/$n HOME=$PWD GIT_CONFIG_NOSYSTEM=1
    exec /usr/bin/timeout -k 1 2 /bin/bash -c "$line" </dev/null >/dev/null 2>&1
  ) &
  n=$((n + 1))
  if [ "$n" -ge 6 ]; then wait -n; fi
done
wait
cd /tmp/log && grep -H . -- * > /workspace/started || :
`;

export interface Recorder extends AsyncDisposable {
  /** The names of the programs that each line started. */
  record(lines: readonly string[]): Promise<Set<string>[]>;
}

/** A real bash in the real sandbox, among programs that say when they are started. */
export async function openRecorder(): Promise<Recorder> {
  const fixture = await openSandboxFixture();
  const stubs = join(fixture.folder, 'stubs');
  await mkdir(stubs);
  for (const [index, name] of leaves.entries()) {
    const says = `#!/bin/sh\n${saySo}\necho p${(index * 7 + 3) % leaves.length}\nexit ${index % 2}\n`;
    await writeProgram(join(stubs, name), says);
  }
  for (const name of starters) {
    await writeProgram(join(stubs, name), `#!/bin/sh\n${saySo}\nexec /usr/bin/${name} "$@"\n`);
  }
  return {
    async record(lines) {
      const place = (name: string) => join(fixture.workspace, name);
      for (const name of ['lines', 'folders', 'names']) {
        await rm(place(name), { recursive: true, force: true });
        await mkdir(place(name));
      }
      for (const [index, line] of lines.entries()) {
        await writeFile(join(place('lines'), String(index)), `${line}\0`);
        await mkdir(join(place('folders'), String(index)));
        await writeFile(join(place('folders'), String(index), 'in'), '');
        await symlink('/stubs', join(place('names'), String(index)));
      }
      const { exitCode, text } = await fixture.shell(runner, {
        mounts: [
          { source: fixture.workspace, target: '/workspace', mode: 'write' },
          { source: stubs, target: '/stubs', mode: 'read' },
        ],
        limits: { timeoutMs: 300_000, processes: 500 },
      });
      if (exitCode !== 0) throw new Error(`the batch did not end well (${exitCode}): ${text}`);
      return readLogs(await readFile(place('started'), 'utf8'), lines.length);
    },
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

async function writeProgram(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o755);
}

/** Each line is `LINE:PROGRAM`. */
function readLogs(text: string, count: number): Set<string>[] {
  const started = Array.from({ length: count }, () => new Set<string>());
  for (const [, line, program = ''] of text.matchAll(/^(\d+):(.*)$/gm)) started[Number(line)]?.add(program);
  return started;
}
