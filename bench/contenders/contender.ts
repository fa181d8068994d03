/** One way to make steps durable, one after another. */
export interface Contender extends AsyncDisposable {
  readonly name: string;
  /** Makes that many steps durable. @returns the milliseconds that each took */
  run(steps: number): Promise<number[]>;
}

/** What one step stores: 1 KB that does not compress to nothing. */
export const payload = Array.from({ length: 128 }, (_, index) => ((index * 2_654_435_761) >>> 0).toString(36))
  .join(' ')
  .slice(0, 1024)
  .padEnd(1024, '.');
