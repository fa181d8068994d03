import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { AskView, DecideAskBody } from '../../contract/asks.ts';
import type { ChangeView } from '../../contract/changes.ts';
import type { CloudEvent } from '../../contract/events.ts';
import type { RunView } from '../../contract/runs.ts';
import type { Step } from '../../contract/steps.ts';
import type { Problem } from '../../contract/system.ts';
import type { CreatedTask, TaskView } from '../../contract/tasks.ts';
import { startApp } from '../../server/app.ts';
import { type Config, readConfig } from '../../server/config.ts';
import type { Database } from '../../server/database/database.ts';
import { createTestDatabase } from '../../server/database/test-database.ts';

/** One answer of a scripted model: what it calls, and what the request before it must hold. */
export interface Turn {
  contains?: string[];
  text?: string;
  calls?: [name: string, input: Record<string, unknown>][];
  misbehave?: Record<string, unknown>[];
}

const restful = /^run\.(succeeded|failed|stopped|waiting)$/;

type Rest = { run: RunView; ask: AskView | null };

/** A whole server in this process, on a database and in a folder of its own, driven over HTTP alone. */
export class House implements AsyncDisposable {
  readonly url: string;
  readonly key: string;
  readonly folder: string;
  readonly database: Database;
  readonly #stack: AsyncDisposableStack;
  #names = 0;

  private constructor(
    parts: Pick<House, 'url' | 'key' | 'folder' | 'database'>,
    stack: AsyncDisposableStack,
  ) {
    this.url = parts.url;
    this.key = parts.key;
    this.folder = parts.folder;
    this.database = parts.database;
    this.#stack = stack;
  }

  static async open(settings: Partial<Config> = {}): Promise<House> {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'house-'));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const { database, connectionString } = stack.use(await createTestDatabase());
    const home = join(folder, 'home');
    mkdirSync(join(folder, 'recordings'));
    const environment = {
      MISSION_HOME: home,
      MISSION_PORT: '0',
      MISSION_LOG: 'silent',
      MISSION_LEASE_SECONDS: '5',
      MISSION_VALIDATE_RESPONSES: '1',
      MISSION_RECORDINGS: join(folder, 'recordings'),
      DATABASE_URL: connectionString,
    };
    const app = stack.use(await startApp({ ...readConfig(environment, []), ...settings }, {}));
    const { key }: { key: string } = JSON.parse(readFileSync(join(home, 'cli.json'), 'utf8'));
    return new House({ url: app.url ?? '', key, folder, database }, stack.move());
  }

  /** @returns the answer's body, whatever its status */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.fetch(path, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const answer: T = JSON.parse(await response.text());
    return answer;
  }

  fetch(path: string, options: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.key}`, ...options.headers };
    return fetch(`${this.url}/api/v1${path}`, { ...options, headers });
  }

  /** Writes a recording and returns the model's name. */
  record(turns: readonly Turn[]): string {
    this.#names += 1;
    const model = `recorded/agent-${this.#names}`;
    const lines = turns.map(({ contains = [], text = '', calls = [], misbehave = [] }, turn) => ({
      turn,
      expect: { contains },
      answer: { text, toolCalls: calls.map(([name, input]) => ({ name, input })) },
      misbehave,
    }));
    const header = { recording: 1, title: 'A test', model, source: 'written by hand' };
    const file = join(this.folder, 'recordings', `agent-${this.#names}.jsonl`);
    writeFileSync(file, [header, ...lines].map((line) => JSON.stringify(line)).join('\n'));
    return model;
  }

  repository(files: Record<string, string>): string {
    this.#names += 1;
    const path = join(this.folder, `repository-${this.#names}`);
    mkdirSync(path);
    git(path, 'init', '-q', '-b', 'main');
    commitFiles(path, files);
    return path;
  }

  /** A task on a repository with one bug, worked on by a scripted model. */
  async start(turns: readonly Turn[], body: Record<string, unknown> = {}): Promise<CreatedTask> {
    const repository = this.repository(sumProject);
    const model = this.record(turns);
    return this.ask('POST', '/tasks', { instructions: 'Mend the sum.', repository, model, ...body });
  }

  decide(ask: AskView | null, decision: Partial<DecideAskBody>): Promise<AskView & Problem> {
    return this.ask('POST', `/asks/${ask?.id}/decide`, { actionHash: ask?.actionHash, ...decision });
  }

  /** Waits until the run has ended, or waits for a person on an open ask, another than the one given. */
  async rest(runId: string, known: AskView | null = null): Promise<Rest> {
    for await (const event of this.follow(`run=${runId}&after=0`, 60_000)) {
      const found = restful.test(event.type) ? await this.#look(runId) : null;
      if (found !== null && (known === null || found.ask?.id !== known.id)) return found;
    }
    throw new Error(`${runId} came to no rest: ${JSON.stringify(await this.ask('GET', `/runs/${runId}`))}`);
  }

  async #look(runId: string): Promise<Rest | null> {
    const run = await this.ask<RunView>('GET', `/runs/${runId}`);
    if (run.endedAt !== null) return { run, ask: null };
    if (run.status !== 'waiting' || run.waiting?.on !== 'ask') return null;
    const ask = await this.ask<AskView>('GET', `/asks/${run.waiting.ref}`);
    return ask.status === 'open' ? { run, ask } : null;
  }

  /** The log from a cursor, as the stream gives it; ends after the limit. */
  async *follow(
    query: string,
    limitMs: number,
    headers: Record<string, string> = {},
  ): AsyncGenerator<CloudEvent> {
    const signal = AbortSignal.timeout(limitMs);
    const response = await this.fetch(`/events/stream?${query}`, { signal, headers });
    if (response.body === null) throw new Error('the stream has no body');
    let text = '';
    try {
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + chunk).split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          const data = /^data: (.*)$/m.exec(block)?.[1];
          if (data !== undefined && /^id: /m.test(block)) yield JSON.parse(data);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  steps(runId: string): Promise<Step[]> {
    return this.#items(`/runs/${runId}/steps?limit=1000`);
  }

  changes(taskId: string): Promise<ChangeView[]> {
    return this.#items(`/changes?task=${taskId}`);
  }

  task(taskId: string): Promise<TaskView> {
    return this.ask('GET', `/tasks/${taskId}`);
  }

  async #items<T>(path: string): Promise<T[]> {
    return (await this.ask<{ items: T[] }>('GET', path)).items;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

const sumTest = `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sum } from '../src/sum.js';
test('adds', () => assert.equal(sum([1, 2, 3]), 6));
`;

/** A project whose one test fails. */
export const sumProject: Record<string, string> = {
  'package.json': JSON.stringify(
    { name: 'sum', type: 'module', private: true, scripts: { test: 'node --test' } },
    null,
    2,
  ),
  'README.md': '# Sum\n',
  'src/sum.js': 'export const sum = (numbers) => numbers.reduce((all, each) => all - each, 0);\n',
  'test/sum.test.js': sumTest,
};
export const mendedSum = 'export const sum = (numbers) => numbers.reduce((all, each) => all + each, 0);\n';

export const finish: Turn = {
  calls: [['finish_phase', { summary: 'done', title: 'Mend the sum', description: 'It subtracted.' }]],
};
export const write = (path: string, content: string): Turn => ({
  calls: [['write_file', { path, content }]],
});
export const shell = (command: string, ...contains: string[]): Turn => ({
  calls: [['run_command', { command }]],
  contains,
});
export const commit: Turn = { calls: [['git_commit', { message: 'Mend the sum' }]] };
/** The phases before the work. */
export const toWork: Turn[] = [finish, finish, finish];
/** The work committed, and the phases from it to the delivery. */
export const toDelivery: Turn[] = [commit, finish, finish, finish];
export const honest: Turn[] = [...toWork, write('src/sum.js', mendedSum), ...toDelivery];

/** A user's own git, on the user's own repository. */
export function git(cwd: string, ...args: string[]): string {
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org'];
  return execFileSync('git', [...identity, ...args], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

export function commitFiles(repository: string, files: Record<string, string>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(repository, path)), { recursive: true });
    writeFileSync(join(repository, path), content);
  }
  git(repository, 'add', '-A');
  git(repository, 'commit', '-q', '-m', 'work');
  return git(repository, 'rev-parse', 'HEAD');
}
