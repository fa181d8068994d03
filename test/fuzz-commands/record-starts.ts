import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openSandboxFixture } from '../../server/computers/sandbox-fixture.ts';
import { starters } from './command-lines.ts';
import { leaves } from './line-parts.ts';

/** Programs are found here by the lines; each says that it was started, in the log of the line that found it. */
const saySo = `n=\${0%/*}; printf "%s\\n" "\${0##*/}" >>/tmp/log/"\${n##*/}"`;

/** Runs each line of a batch by bash, in a folder and with a log of its own, a few at a time. */
const runner = String.raw`
cd /tmp && mkdir s w log
run() {
  ln -s /stubs "s/$1" && mkdir "w/$1" && : > "log/$1" && cd "w/$1" && : > in || return
  IFS= read -rd '' line < "/workspace/lines/$1"
  unset BASH_ENV ENV
  PATH=/tmp/s/$1 HOME=/tmp/w/$1 x= GIT_CONFIG_NOSYSTEM=1 /usr/bin/timeout -k 1 3 /bin/bash -c "$line" </dev/null >/dev/null 2>&1
}
n=0
while [ -e "/workspace/lines/$n" ]; do
  ( run "$n" ) &
  n=$((n + 1))
  if [ $((n % 4)) -eq 0 ]; then wait; fi
done
wait
i=0
while [ "$i" -lt "$n" ]; do printf '%s\n' "line $i"; sort -u "log/$i" 2>/dev/null; i=$((i + 1)); done > /workspace/started
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
      const folder = join(fixture.workspace, 'lines');
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      for (const [index, line] of lines.entries()) await writeFile(join(folder, String(index)), `${line}\0`);
      const { exitCode, text } = await fixture.shell(runner, {
        mounts: [
          { source: fixture.workspace, target: '/workspace', mode: 'write' },
          { source: stubs, target: '/stubs', mode: 'read' },
        ],
        limits: { timeoutMs: 300_000, processes: 400 },
      });
      if (exitCode !== 0) throw new Error(`the batch did not end well (${exitCode}): ${text}`);
      return readLogs(await readFile(join(fixture.workspace, 'started'), 'utf8'), lines.length);
    },
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

async function writeProgram(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o755);
}

function readLogs(text: string, count: number): Set<string>[] {
  const started = Array.from({ length: count }, () => new Set<string>());
  let at = 0;
  for (const word of text.split('\n')) {
    const line = /^line (\d+)$/.exec(word)?.[1];
    if (line !== undefined) at = Number(line);
    else if (word !== '') started[at]?.add(word);
  }
  return started;
}
