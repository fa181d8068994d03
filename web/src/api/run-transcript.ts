import type { CloudEvent } from '../../../contract/events.ts';
import type { Step, StepKind } from '../../../contract/steps.ts';
import type { LiveText } from '../../../contract/system.ts';
import type { ApiClient } from './request.ts';
import { messageOf } from './request.ts';
import { stepList } from './schemas.ts';

const pageSize = 100;
const notifyMs = 50;

export interface Placeholder {
  kind: StepKind | null;
  name: string;
}

/**
 * The steps of one run, by number: read in pages as they come into view, kept true by events. What is not
 * read yet has a place all the same, so that a run of ten thousand steps opens at once and scrolls whole.
 */
export class RunTranscript {
  readonly #api: ApiClient;
  readonly #runId: string;
  readonly #steps = new Map<number, Step>();
  readonly #told = new Map<number, Placeholder>();
  readonly #live = new Map<number, string>();
  readonly #pages = new Map<number, 'reading' | 'read'>();
  readonly #dirty = new Set<number>();
  readonly #watchers = new Set<() => void>();
  #count = 0;
  #version = 0;
  #failure: string | null = null;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #notice: ReturnType<typeof setTimeout> | undefined;
  #refreshing = false;

  constructor(api: ApiClient, runId: string) {
    this.#api = api;
    this.#runId = runId;
  }

  /** The highest number known. */
  get count(): number {
    return this.#count;
  }

  /** The sentence of the last reading that failed; null once one succeeds. */
  get failure(): string | null {
    return this.#failure;
  }

  step(seq: number): Step | undefined {
    return this.#steps.get(seq);
  }

  placeholder(seq: number): Placeholder | undefined {
    return this.#told.get(seq);
  }

  /** What the model has written so far of an open step. */
  liveText(seq: number): string {
    return this.#live.get(seq) ?? '';
  }

  /** All steps read so far, in order. */
  known(): Step[] {
    return [...this.#steps.values()].sort((a, b) => a.seq - b.seq);
  }

  watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  version = (): number => this.#version;

  setCount(count: number): void {
    if (count <= this.#count) return;
    this.#count = count;
    this.#tell();
  }

  /** Reads what is missing of the steps from `first` to `last`. */
  ensure(first: number, last: number): void {
    for (let page = pageOf(first); page <= pageOf(Math.max(first, last)); page++) {
      if (!this.#pages.has(page)) void this.#readPage(page);
    }
  }

  receive(event: CloudEvent): void {
    if (event.runid !== this.#runId) return;
    const { seq, kind, name } = event.data;
    if (!event.type.startsWith('step.') || typeof seq !== 'number') return;
    if (typeof kind === 'string' && typeof name === 'string')
      this.#told.set(seq, { kind: kind as StepKind, name });
    this.setCount(seq);
    this.#dirty.add(seq);
    this.#refresh ??= setTimeout(() => void this.#readDirty(), notifyMs);
  }

  receiveLive(live: LiveText): void {
    if (live.runId !== this.#runId) return;
    const step = this.#steps.get(live.seq);
    if (step !== undefined && step.status !== 'intended') return;
    // Whoever comes in the middle of a sentence must not take its end for the whole.
    const before = this.#live.get(live.seq) ?? (this.#told.has(live.seq) ? '' : '… ');
    this.#live.set(live.seq, before + live.text);
    this.setCount(live.seq);
    this.#tell();
  }

  /** After a broken connection: what was open or came since is read again. */
  reread(): void {
    for (const step of this.#steps.values()) if (step.status === 'intended') this.#dirty.add(step.seq);
    this.#dirty.add(this.#count + 1);
    this.#refresh ??= setTimeout(() => void this.#readDirty(), 0);
  }

  async #readPage(page: number): Promise<void> {
    this.#pages.set(page, 'reading');
    const read = await this.#read(page * pageSize, pageSize);
    if (read) this.#pages.set(page, 'read');
    else setTimeout(() => this.#pages.delete(page), 1_000);
  }

  async #readDirty(): Promise<void> {
    this.#refresh = undefined;
    if (this.#refreshing || this.#dirty.size === 0) return;
    this.#refreshing = true;
    const first = Math.min(...this.#dirty);
    const wanted = [...this.#dirty];
    this.#dirty.clear();
    const read = await this.#read(first - 1, 200);
    this.#refreshing = false;
    const missed = read ? wanted.filter((seq) => seq >= first + 200) : wanted;
    for (const seq of missed) this.#dirty.add(seq);
    if (this.#dirty.size > 0)
      this.#refresh ??= setTimeout(() => void this.#readDirty(), read ? notifyMs : 1_000);
  }

  async #read(after: number, limit: number): Promise<boolean> {
    try {
      const { items } = await this.#api.get(
        `/runs/${this.#runId}/steps?after=${after}&limit=${limit}`,
        stepList,
      );
      for (const step of items) this.#keep(step);
      this.#failure = null;
      this.#tell();
      return true;
    } catch (error) {
      this.#failure = messageOf(error);
      this.#tell();
      return false;
    }
  }

  #keep(step: Step): void {
    this.#steps.set(step.seq, step);
    if (step.status !== 'intended') this.#live.delete(step.seq);
    this.#count = Math.max(this.#count, step.seq);
  }

  #tell(): void {
    this.#notice ??= setTimeout(() => {
      this.#notice = undefined;
      this.#version += 1;
      for (const watcher of this.#watchers) watcher();
    }, 16);
  }
}

function pageOf(seq: number): number {
  return Math.max(0, Math.floor((seq - 1) / pageSize));
}
