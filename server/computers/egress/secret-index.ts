/** A secret that must not leave, with the name that it is told by. */
export interface KnownSecret {
  name: string;
  value: string;
}

interface Variant {
  secret: number;
  bytes: Uint8Array;
}

/** Bytes of one piece: shorter secrets are not known by it. */
const gram = 8;
const base = 0x01000193;
/** What the byte that leaves the window weighs. */
const outgoing = Array.from({ length: gram }).reduce<number>((power) => Math.imul(power, base), 1);
const filterBits = 20;

/**
 * Finds secrets in bytes by their pieces of eight, whatever the case: one pass with a rolling hash, however many
 * secrets there are. Pieces are counted and not only whole secrets, so that one that was cut up and spread over a
 * request's parts is found as well. Known spellings: as it is, backwards, rot13, and each without punctuation.
 */
export class SecretIndex {
  readonly names: readonly string[];
  readonly variants: readonly Variant[];
  readonly #places = new Map<number, { variant: number; at: number }[]>();
  readonly #filter = new Uint8Array(2 ** (filterBits - 3));

  constructor(secrets: readonly KnownSecret[]) {
    this.names = secrets.map(({ name }) => name);
    this.variants = secrets.flatMap(({ value }, secret) =>
      spellings(value).map((text) => ({ secret, bytes: Buffer.from(text, 'latin1') })),
    );
    for (const [variant, { bytes }] of this.variants.entries()) {
      for (let at = 0; at + gram <= bytes.length; at++) {
        const hash = hashOf(bytes, at);
        const places = this.#places.get(hash) ?? [];
        places.push({ variant, at });
        this.#places.set(hash, places);
        const bit = hash >>> (32 - filterBits);
        this.#filter[bit >>> 3] = (this.#filter[bit >>> 3] ?? 0) | (1 << (bit & 7));
      }
    }
  }

  /** Tells of every piece that the bytes hold. */
  find(bytes: Uint8Array, tell: (variant: number, at: number) => void): void {
    if (this.#places.size === 0 || bytes.length < gram) return;
    const filter = this.#filter;
    const { length } = bytes;
    let hash = 0;
    for (let index = 0; index < length; index++) {
      hash = (Math.imul(hash, base) + (lowered[bytes[index] ?? 0] ?? 0)) | 0;
      if (index < gram - 1) continue;
      if (index >= gram) hash = (hash - Math.imul(outgoing, lowered[bytes[index - gram] ?? 0] ?? 0)) | 0;
      const bit = hash >>> (32 - filterBits);
      if (((filter[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) continue;
      for (const place of this.#places.get(hash) ?? []) {
        if (this.#isThere(bytes, index - gram + 1, place)) tell(place.variant, place.at);
      }
    }
  }

  #isThere(bytes: Uint8Array, from: number, { variant, at }: { variant: number; at: number }): boolean {
    const wanted = this.variants[variant]?.bytes;
    for (let index = 0; index < gram; index++) {
      if (lowered[bytes[from + index] ?? 0] !== wanted?.[at + index]) return false;
    }
    return true;
  }
}

/** How much of each secret has been seen. */
export class Coverage {
  readonly #index: SecretIndex;
  readonly #share: number;
  readonly #seen: (Uint8Array | undefined)[] = [];
  readonly #counts: number[] = [];
  #found: string | null = null;

  /** @param share of a secret's pieces from which on it counts as seen; a short secret must be seen whole */
  constructor(index: SecretIndex, share: number) {
    this.#index = index;
    this.#share = share;
  }

  /** The name of a secret that has been seen. */
  get found(): string | null {
    return this.#found;
  }

  /** @returns whether this piece was new */
  add(variant: number, at: number): boolean {
    const { bytes, secret } = this.#index.variants[variant] ?? { bytes: new Uint8Array(), secret: -1 };
    const pieces = bytes.length - gram + 1;
    this.#seen[variant] ??= new Uint8Array(pieces);
    const seen = this.#seen[variant];
    if (seen === undefined || seen[at] === 1) return false;
    seen[at] = 1;
    const count = (this.#counts[variant] ?? 0) + 1;
    this.#counts[variant] = count;
    const wanted = bytes.length < 2 * gram ? pieces : Math.ceil(pieces * this.#share);
    if (count >= wanted) this.#found ??= this.#index.names[secret] ?? 'a secret';
    return true;
  }

  /** Takes back what did not leave after all. */
  forget(pieces: readonly (readonly [variant: number, at: number])[]): void {
    for (const [variant, at] of pieces) {
      const seen = this.#seen[variant];
      if (seen?.[at] !== 1) continue;
      seen[at] = 0;
      this.#counts[variant] = (this.#counts[variant] ?? 1) - 1;
    }
    this.#found = null;
  }
}

function spellings(value: string): string[] {
  const text = Buffer.from(value, 'utf8').toString('latin1').toLowerCase();
  const plain = text.replace(/[^a-z0-9]/g, '');
  const forms = [text, ...(plain.length >= 12 ? [plain] : [])];
  const all = forms.flatMap((form) => [form, [...form].reverse().join(''), rot13(form)]);
  return [...new Set(all)].filter((form) => form.length >= gram);
}

function rot13(text: string): string {
  return text.replace(/[a-z]/g, (letter) =>
    String.fromCharCode(((letter.charCodeAt(0) - 97 + 13) % 26) + 97),
  );
}

function hashOf(bytes: Uint8Array, from: number): number {
  let hash = 0;
  for (let index = from; index < from + gram; index++)
    hash = (Math.imul(hash, base) + (bytes[index] ?? 0)) | 0;
  return hash;
}

const lowered = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte));
