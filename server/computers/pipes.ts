import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

/**
 * Node gives a child sockets for its output, and a socket cannot be opened by name: `tee /dev/stderr` and
 * `> /dev/stdout` would fail. So a command's output goes through named pipes, made once and used again.
 */
export interface OutputPipes {
  /** For the child's descriptors 1 and 2; close them by `release` once it is spawned. */
  writers: [stdout: number, stderr: number];
  stdout: Socket;
  stderr: Socket;
  release(): void;
  /** Only when every writer is dead, else the next command would read from this one. */
  putBack(): void;
}

export interface PipePool {
  take(): Promise<OutputPipes>;
}

/** @param folder private, and gone with its owner; the pipes lie in it */
export function openPipePool(folder: string): PipePool {
  const idle: [string, string][] = [];
  let count = 0;
  return {
    async take() {
      const pair = idle.pop() ?? (await makePair(folder, ++count));
      return openPair(pair, () => idle.push(pair));
    },
  };
}

async function makePair(folder: string, number: number): Promise<[string, string]> {
  const pair: [string, string] = [join(folder, `out-${number}`), join(folder, `err-${number}`)];
  const child = spawn('mkfifo', ['-m', '600', ...pair], { stdio: 'ignore' });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`mkfifo failed in ${folder}`);
  return pair;
}

function openPair([out, err]: [string, string], putBack: () => void): OutputPipes {
  // A reader that does not wait for its writer comes first; then the writer need not wait either.
  const open = (path: string) => {
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    return { writer, stream: new Socket({ fd: reader, readable: true, writable: false }) };
  };
  const [stdout, stderr] = [open(out), open(err)];
  return {
    writers: [stdout.writer, stderr.writer],
    stdout: stdout.stream,
    stderr: stderr.stream,
    release() {
      closeSync(stdout.writer);
      closeSync(stderr.writer);
    },
    putBack,
  };
}

const closeOnExec = 0o2000000;

/**
 * The descriptors that this process inherited without their being closed at `exec`: whoever started the server
 * would share them with every command. The standard three are not among them.
 */
export function listInheritedDescriptors(): number[] {
  return readdirSync('/proc/self/fdinfo')
    .map(Number)
    .filter((descriptor) => descriptor > 2 && descriptor < 4096 && !isClosedOnExec(descriptor));
}

function isClosedOnExec(descriptor: number): boolean {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8');
    return (Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '0', 8) & closeOnExec) !== 0;
  } catch (error) {
    // The one by which the folder was listed is closed by now.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true;
    throw error;
  }
}
