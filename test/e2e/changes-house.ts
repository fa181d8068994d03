import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { changeView } from '../../contract/changes.ts';
import { runView } from '../../contract/runs.ts';
import { connectionFile } from '../../contract/system.ts';
import { createTestDatabase, type TestDatabase } from '../../server/database/test-database.ts';
import { Refused } from '../api-client.ts';
import { git, makeSmallRepository } from '../small-repository.ts';
import { makeHome, type ServerProcess, type TestHome } from '../start-app.ts';

export const moving = z.object({ change: changeView, run: runView });

/** A server with a database, recordings and repositories of one test file's own. */
export interface House extends AsyncDisposable {
  readonly home: TestHome;
  readonly store: TestDatabase;
  /** Starts a server process on them. */
  start(options?: { roles?: string; env?: Record<string, string> }): Promise<ServerProcess>;
  /** Any request of the API. @throws Refused */
  request<T>(method: string, path: string, schema: z.ZodType<T>, body?: unknown): Promise<T>;
  /** A model that does one thing to the workspace, whenever it comes to the phase in which that may be done. */
  record(name: string, command: string, options?: RecordOptions): Promise<string>;
  /** A bare repository with one commit on main. */
  repository(files: Record<string, string>): Promise<string>;
}

export interface RecordOptions {
  /** What the answer after the command must find in its result. */
  contains?: string[];
  misbehave?: unknown[];
  /** What the conversation must begin with. */
  first?: string[];
}

/** @param config of `mission.config.json` */
export async function openHouse(config: Record<string, unknown> = {}): Promise<House> {
  const home = await makeHome(config);
  const store = await createTestDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'changes-house-'));
  const env = { DATABASE_URL: store.connectionString, MISSION_RECORDINGS: folder };
  return {
    home,
    store,
    start: (options = {}) => home.start({ ...options, env: { ...env, ...options.env } }),
    async request(method, path, schema, body) {
      const { url, key } = connectionFile.parse(
        JSON.parse(await readFile(join(home.path, 'cli.json'), 'utf8')),
      );
      const response = await fetch(new URL(`/api/v1${path}`, url), {
        method,
        signal: AbortSignal.timeout(30_000),
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const answer: unknown = await response.json();
      if (response.ok) return schema.parse(answer);
      const { code, detail } = z.object({ code: z.string(), detail: z.string() }).parse(answer);
      throw new Refused(response.status, code, detail);
    },
    async record(name, command, options = {}) {
      await writeFile(join(folder, `${name}.jsonl`), recordingOf(name, command, options));
      return `recorded/${name}`;
    },
    repository: (files) => makeSmallRepository(join(folder, 'repositories'), files),
    async [Symbol.asyncDispose]() {
      await home[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A file of the repository's branch main. */
export const readMain = (repository: string, path: string): Promise<string> =>
  git(repository, 'show', `main:${path}`);

/**
 * Seven turns that fit a first run (three phases before the work) and one that goes on with a change, whose
 * first deliveries without new work come back to the phase in which work is done.
 */
function recordingOf(
  name: string,
  command: string,
  { contains = [], misbehave = [], first = [] }: RecordOptions,
): string {
  const finish = {
    name: 'finish_phase',
    input: { summary: 'done', title: `${name} at work`, description: 'As it was asked.' },
  };
  const work = [
    { name: 'run_command', input: { command } },
    { name: 'git_commit', input: { message: `${name} did its work` } },
  ];
  const answers = [[finish], [finish], [finish], work, [finish], [finish], [finish]];
  const turns = answers.map((toolCalls, turn) => ({
    turn,
    expect: { contains: turn === 4 ? contains : turn === 0 ? first : [] },
    answer: { text: '', toolCalls },
    ...(turn === 3 ? { misbehave } : {}),
  }));
  const header = { recording: 1, title: name, model: `recorded/${name}`, source: 'written by hand' };
  return `${[header, ...turns].map((line) => JSON.stringify(line)).join('\n')}\n`;
}
