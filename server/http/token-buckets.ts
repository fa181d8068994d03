const mostBuckets = 20_000;

interface Bucket {
  tokens: number;
  at: number;
}

/** A bucket for each name: `burst` at once, then `perSecond`. Memory is bounded: full buckets are forgotten. */
export class TokenBuckets {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** @param options.now milliseconds of a clock that only goes forward */
  constructor(options: { perSecond: number; burst: number; now: () => number }) {
    this.#perSecond = options.perSecond;
    this.#burst = options.burst;
    this.#now = options.now;
  }

  /** Takes one. @returns 0, or the whole seconds until there is one again; then nothing was taken */
  take(name: string): number {
    const bucket = this.#refilled(name);
    if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / this.#perSecond));
    bucket.tokens -= 1;
    return 0;
  }

  /** What `take` would answer. */
  wait(name: string): number {
    const { tokens } = this.#refilled(name);
    return tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - tokens) / this.#perSecond));
  }

  #refilled(name: string): Bucket {
    const now = this.#now();
    const known = this.#buckets.get(name);
    if (known === undefined) {
      if (this.#buckets.size >= mostBuckets) this.#forget(now);
      const bucket = { tokens: this.#burst, at: now };
      this.#buckets.set(name, bucket);
      return bucket;
    }
    known.tokens = Math.min(this.#burst, known.tokens + ((now - known.at) / 1_000) * this.#perSecond);
    known.at = now;
    return known;
  }

  /** Buckets that are full again say nothing; where there are none, the oldest half goes. */
  #forget(now: number): void {
    const fullAfterMs = (this.#burst / this.#perSecond) * 1_000;
    for (const [name, { at }] of this.#buckets) if (now - at >= fullAfterMs) this.#buckets.delete(name);
    if (this.#buckets.size < mostBuckets) return;
    for (const name of [...this.#buckets.keys()].slice(0, mostBuckets / 2)) this.#buckets.delete(name);
  }
}
