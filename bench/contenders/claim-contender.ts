/** One way to take tasks out of a queue in PostgreSQL, and to say that each is done. */
export interface ClaimContender extends AsyncDisposable {
  readonly name: string;
  /** Puts that many tasks into the queue; not measured. */
  fill(tasks: number): Promise<void>;
  /** Claims and completes that many, which are there. @returns the milliseconds that one took */
  drain(tasks: number): Promise<number>;
}
