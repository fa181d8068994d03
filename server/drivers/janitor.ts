import { createHash } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { DiskSettings } from '../../contract/disk.ts';
import type { Clock } from '../clock.ts';
import type { Sandbox } from '../computers/sandbox.ts';
import { entriesOf, exists, isMissing, removeTree } from '../computers/workspaces/folders.ts';
import type { Git } from '../computers/workspaces/git.ts';
import { forgetRuns, runsKept } from '../computers/workspaces/prune-copy.ts';
import type { Database } from '../database/database.ts';
import {
  forgetOldArtifacts,
  forgetOldRows,
  readEndedRuns,
  readForgettableRuns,
  readOldContents,
  readSetupsInUse,
  withEndedRun,
} from '../domain/retention/retention.ts';
import { newId } from '../ids.ts';
import type { Logger } from '../log.ts';
import { measure } from './disk-usage.ts';

/** A job of one home's own: each machine looks after its own disk. */
export function janitorTask(home: string): string {
  return `janitor-${createHash('sha256').update(`${hostname()}:${home}`).digest('hex').slice(0, 12)}`;
}

export interface JanitorOptions {
  home: string;
  database: Database;
  sandbox: Sandbox;
  git: Git;
  clock: Clock;
  log: Logger;
  settings: DiskSettings;
}

export interface Swept {
  workspaces: number;
  setups: number;
  artifacts: number;
  leftovers: number;
}

const dayMs = 86_400_000;
const gigabyte = 1024 ** 3;
const removing = '.removing-';
const isWhole = /^[0-9a-f]{64}$/;

/**
 * Keeps the disk's use bounded. What is to go is first renamed away, with the proof in hand that nobody needs it,
 * and then removed: a crash in between leaves a name that the next sweep removes. Several may sweep at once.
 */
export class Janitor {
  readonly #options: JanitorOptions;

  constructor(options: JanitorOptions) {
    this.#options = options;
  }

  async sweep(signal: AbortSignal): Promise<Swept> {
    const { log } = this.#options;
    const leftovers = await this.#sweepLeftovers(signal);
    const workspaces = await this.#sweepWorkspaces(signal);
    const setups = await this.#sweepSetups(signal);
    const artifacts = await this.#sweepArtifacts(signal);
    await this.#sweepCopies(signal);
    await forgetOldRows(this.#options.database);
    const swept = { workspaces, setups, artifacts, leftovers };
    if (Object.values(swept).some((count) => count > 0))
      log.info(swept, 'what is no longer needed was removed');
    return swept;
  }

  async #sweepWorkspaces(signal: AbortSignal): Promise<number> {
    const { home, database, clock, settings } = this.#options;
    const folders = new Map((await this.#entries('runs')).map((path) => [basename(path), path]));
    const ids = [...folders.keys()];
    const ended = await readEndedRuns(database, ids);
    const oldest = clock.now() - settings.workspaceDays * dayMs;
    const due = new Set(
      ended.filter((run) => run.settled || Date.parse(run.endedAt) <= oldest).map((run) => run.id),
    );
    const sizes = await measure([...folders.values()]);
    const sizeOf = (id: string) => sizes.get(folders.get(id) ?? '') ?? 0;
    let kept = ids.filter((id) => !due.has(id)).reduce((sum, id) => sum + sizeOf(id), 0);
    for (const { id } of ended) {
      if (kept <= settings.workspaceGigabytes * gigabyte) break;
      if (due.has(id)) continue;
      due.add(id);
      kept -= sizeOf(id);
    }
    let count = 0;
    for (const id of due) {
      signal.throwIfAborted();
      const path = join(home, 'runs', id);
      const away = awayFrom(path);
      if (!(await withEndedRun(database, id, () => renameIfThere(path, away)))) continue;
      await this.#remove(away);
      count += 1;
    }
    return count;
  }

  async #sweepSetups(signal: AbortSignal): Promise<number> {
    const { database, clock, settings } = this.#options;
    const found = await Promise.all(
      (await this.#entries('setups')).map(async (path) => ({ path, usedAt: await modifiedAt(path) })),
    );
    const sizes = await measure(found.map(({ path }) => path));
    let kept = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    let count = 0;
    for (const { path, usedAt } of found.sort((a, b) => a.usedAt - b.usedAt)) {
      signal.throwIfAborted();
      const unused = clock.now() - usedAt;
      const tooMuch = kept > settings.setupGigabytes * gigabyte;
      // Who has just looked for it may be about to name it.
      if (unused < 3_600_000 || !(tooMuch || unused > settings.setupDays * dayMs)) continue;
      if ((await readSetupsInUse(database)).has(basename(path))) continue;
      kept -= sizes.get(path) ?? 0;
      await this.#takeAway(path);
      count += 1;
    }
    return count;
  }

  /** Contents first, then the rows that name them. */
  async #sweepArtifacts(signal: AbortSignal): Promise<number> {
    const { home, database, settings } = this.#options;
    for (const hash of await readOldContents(database, settings.artifactDays)) {
      signal.throwIfAborted();
      await this.#removeContent(join(home, 'artifacts', hash.slice(0, 2), hash));
    }
    for (const folder of await this.#entries('artifacts')) {
      for (const path of await entriesOf(folder)) {
        // A name that goes on after the hash was being written when its process died.
        if (!isWhole.test(basename(path)) && (await this.#isOlder(path, dayMs)))
          await rm(path, { force: true });
      }
    }
    return forgetOldArtifacts(database, settings.artifactDays);
  }

  /** The control plane's copies of repositories let go of what runs of long ago had delivered. */
  async #sweepCopies(signal: AbortSignal): Promise<void> {
    const { database, git, settings } = this.#options;
    for (const path of await this.#entries('repositories')) {
      if (!(await exists(join(path, 'HEAD')))) continue;
      const kept = await runsKept(git, path, signal);
      const gone = await readForgettableRuns(database, kept, settings.artifactDays);
      if (gone.length > 0) await forgetRuns(git, path, gone, signal);
    }
  }

  /** The same content may be kept anew meanwhile: a file that turns out to be fresh is put back. */
  async #removeContent(path: string): Promise<void> {
    const away = awayFrom(path);
    await renameIfThere(path, away);
    if ((await exists(away)) && !(await this.#isOlder(away, dayMs))) {
      await rename(away, path);
    } else {
      await rm(away, { force: true });
    }
  }

  /** What a sweep that died had renamed, and files on their way that nobody awaits any more. */
  async #sweepLeftovers(signal: AbortSignal): Promise<number> {
    const { home } = this.#options;
    let count = 0;
    for (const folder of ['runs', 'setups']) {
      for (const path of await entriesOf(join(home, folder))) {
        signal.throwIfAborted();
        if (!basename(path).startsWith(removing) || !(await this.#isOlder(path, 0))) continue;
        await this.#remove(path);
        count += 1;
      }
    }
    for (const path of await entriesOf(join(home, 'temporary'))) {
      if (!(await this.#isOlder(path, dayMs))) continue;
      await this.#remove(path);
      count += 1;
    }
    return count;
  }

  async #entries(folder: string): Promise<string[]> {
    const all = await entriesOf(join(this.#options.home, folder));
    return all.filter((path) => !basename(path).startsWith('.'));
  }

  async #isOlder(path: string, ms: number): Promise<boolean> {
    return this.#options.clock.now() - (await modifiedAt(path)) >= ms;
  }

  async #takeAway(path: string): Promise<void> {
    const away = awayFrom(path);
    await renameIfThere(path, away);
    await this.#remove(away);
  }

  async #remove(path: string): Promise<void> {
    await removeTree(this.#options.sandbox, path);
  }
}

const awayFrom = (path: string) => join(dirname(path), `${removing}${basename(path)}-${newId('art')}`);

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Now, for what is gone: it is nobody's leftover. */
async function modifiedAt(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isMissing(error)) return Number.POSITIVE_INFINITY;
    throw error;
  }
}
