import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';
import { TokenBuckets } from './token-buckets.ts';

const mostRemembered = 10_000;

/**
 * How often somebody may ask. Who comes with a key or session that was good a moment ago is counted by principal
 * alone: a flood of wrong ones from the same address, such as that of a proxy, does not touch them.
 */
export class RateLimits {
  readonly #requests: TokenBuckets;
  readonly #nameless: TokenBuckets;
  readonly #wrong: TokenBuckets;
  readonly #logins: TokenBuckets;
  readonly #names: TokenBuckets;
  readonly #deliveries: TokenBuckets;
  readonly #forgeries: TokenBuckets;
  readonly #hooks: TokenBuckets;
  /** Hashes of what was found good, the least lately used first. */
  readonly #good = new Set<string>();

  constructor(options: { requestsPerSecond: number; now: () => number }) {
    const { now, requestsPerSecond: perSecond } = options;
    this.#requests = new TokenBuckets({ perSecond, burst: 2 * perSecond, now });
    this.#nameless = new TokenBuckets({ perSecond: 20, burst: 300, now });
    this.#wrong = new TokenBuckets({ perSecond: 2, burst: 100, now });
    this.#logins = new TokenBuckets({ perSecond: 1 / 6, burst: 10, now });
    this.#names = new TokenBuckets({ perSecond: 1 / 20, burst: 20, now });
    this.#deliveries = new TokenBuckets({ perSecond: 20, burst: 300, now });
    this.#forgeries = new TokenBuckets({ perSecond: 2, burst: 100, now });
    this.#hooks = new TokenBuckets({ perSecond: 5, burst: 100, now });
  }

  /** One request of a principal. @throws AppError rate_limited */
  countRequest(principalId: string): void {
    refuseFor(this.#requests.take(principalId), 'You ask faster than this server lets one principal ask');
  }

  /** One without a key or a session. @throws AppError rate_limited */
  countNameless(address: string): void {
    refuseFor(this.#nameless.take(address), 'Too many requests without a key came from your address');
  }

  /** Before a key or session is looked up. @throws AppError rate_limited where too many wrong ones came before */
  beforeProof(address: string, proof: string): void {
    if (this.#good.has(hashOf(proof))) return;
    refuseFor(this.#wrong.wait(address), 'Too many wrong keys came from your address');
  }

  afterProof(address: string, proof: string, good: boolean): void {
    const hash = hashOf(proof);
    this.#good.delete(hash);
    if (!good) {
      this.#wrong.take(address);
      return;
    }
    this.#good.add(hash);
    const [oldest] = this.#good;
    if (this.#good.size > mostRemembered && oldest !== undefined) this.#good.delete(oldest);
  }

  /** One delivery to a hook, before anything of it is read. @throws AppError rate_limited */
  countDelivery(address: string, hook: string): void {
    const waits = [this.#deliveries.take(address), this.#forgeries.wait(`${address} ${hook}`)];
    refuseFor(Math.max(...waits), 'Too many deliveries, or too many unsigned ones, came from your address');
  }

  /** By hook as well: forges send for everybody from the same addresses, also for whoever knows no secret. */
  countForgery(address: string, hook: string): void {
    this.#forgeries.take(`${address} ${hook}`);
  }

  /** One signed delivery, whatever address it came from. @throws AppError rate_limited */
  countSigned(hook: string): void {
    refuseFor(this.#hooks.take(hook), 'More deliveries come than this hook takes');
  }

  /** One attempt to log in, by link or by a name with its password. @throws AppError rate_limited */
  countLogin(address: string, name: string | null): void {
    const waits = [this.#logins.take(address), name === null ? 0 : this.#names.take(name)];
    refuseFor(Math.max(...waits), 'Too many attempts to log in');
  }
}

function refuseFor(seconds: number, what: string): void {
  if (seconds === 0) return;
  throw new AppError('rate_limited', `${what}. Try again in ${seconds} s.`, {
    detail: { retryAfterSeconds: seconds },
  });
}

function hashOf(proof: string): string {
  return createHash('sha256').update(proof).digest('base64');
}
