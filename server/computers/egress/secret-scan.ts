import { readingsOf } from './decodings.ts';
import { Coverage, type SecretIndex } from './secret-index.ts';

/** Tokens that are known by their shape alone, whoever they belong to. */
const shapes: [name: string, pattern: RegExp][] = [
  ['a GitHub token', /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40})/],
  ['a GitLab token', /\bglpat-[A-Za-z0-9_-]{20}/],
  ['an Anthropic key', /\bsk-ant-[A-Za-z0-9_-]{20}/],
  ['an OpenAI key', /\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{40}/],
  ['an AWS key', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  ['a Google key', /\bAIza[0-9A-Za-z_-]{35}/],
  ['a Slack token', /\bxox[abposr]-[0-9A-Za-z-]{20}/],
  ['an npm token', /\bnpm_[A-Za-z0-9]{36}\b/],
  ['a Telegram bot token', /\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b/],
  ['a key of Mission Control', /\bmc_[A-Za-z0-9_-]{43}\b/],
  ['a private key', /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----/],
];

const deepest = 4;
/** Of decoded bytes for each byte that is looked at, and a floor for what is small. */
const mostWork = 48;
const leastWork = 2 * 1024 ** 2;
/** So that nothing hides in the seam between two blocks. */
const seamBytes = 1024;
/** What is seen of a secret in one request, and in all requests of a run together. */
export const shares = { request: 0.6, run: 0.9 };

/** Why something may not leave: the secret's name, never any of it. */
export interface Leak {
  secret: string;
  reason: string;
}

/**
 * Looks through one request for secrets: its address, headers and body, each as it is and in every encoding that
 * can be undone, several deep. Holds no more than a block and a seam.
 */
export class SecretScan {
  readonly #index: SecretIndex;
  readonly #request: Coverage;
  readonly #run: Coverage;
  /** What this request added to the run's. */
  readonly #added: [variant: number, at: number][] = [];
  #seam: Buffer = Buffer.alloc(0);
  #leak: Leak | null = null;

  /** @param run what was seen of each secret in the run's earlier requests */
  constructor(index: SecretIndex, run: Coverage) {
    this.#index = index;
    this.#request = new Coverage(index, shares.request);
    this.#run = run;
  }

  /** Whether any piece of a secret was seen, too little to stop it. */
  partly = false;

  /** Something that stands by itself: a host, a path, a header. */
  text(text: string): Leak | null {
    return this.#look(Buffer.from(text, 'utf8'));
  }

  /** The next block of the body. */
  block(bytes: Buffer): Leak | null {
    const whole = this.#seam.length === 0 ? bytes : Buffer.concat([this.#seam, bytes]);
    this.#seam = Buffer.from(whole.subarray(Math.max(0, whole.length - seamBytes)));
    return this.#look(whole);
  }

  #look(bytes: Buffer): Leak | null {
    const budget = Math.max(leastWork, bytes.length * mostWork);
    let work = 0;
    let level = [bytes];
    for (let depth = 0; depth <= deepest && level.length > 0; depth++) {
      const next: Buffer[] = [];
      for (const layer of level) {
        if (this.#leak !== null) return this.#leak;
        work += layer.length;
        if (work > budget) {
          this.#leak = { secret: 'unknown', reason: 'it is packed too deeply to be inspected' };
          return this.#leak;
        }
        this.#judge(layer);
        if (depth === deepest) continue;
        const { decoded, joined } = readingsOf(layer, depth);
        for (const flat of joined) this.#judge(flat);
        next.push(...decoded);
      }
      level = next;
    }
    return this.#leak;
  }

  #judge(layer: Buffer): void {
    this.#index.find(layer, (variant, at) => {
      this.partly = true;
      this.#request.add(variant, at);
      if (this.#run.add(variant, at)) this.#added.push([variant, at]);
    });
    const known = this.#request.found ?? this.#run.found;
    if (known !== null) {
      this.#run.forget(this.#added);
      this.#leak = { secret: known, reason: `it holds the secret ${known}` };
      return;
    }
    const text = layer.toString('latin1');
    const shape = shapes.find(([, pattern]) => pattern.test(text));
    if (shape !== undefined)
      this.#leak = { secret: shape[0], reason: `it holds what looks like ${shape[0]}` };
  }
}
