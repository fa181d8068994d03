/** Who is told at regular times, such as to show that it lives. */
export interface Beating {
  beat(): void;
}

const slots = 20;

/**
 * Tells each member once a period. One timer for all of them, and a twentieth of them at a time: a timer for each
 * costs as much as its member, and all at one moment keep everybody else waiting.
 */
export class Pulse {
  readonly #periodMs: number;
  readonly #members: readonly Set<Beating>[] = Array.from({ length: slots }, () => new Set<Beating>());
  #next = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  /** Into the emptiest slot. */
  join(member: Beating): void {
    const slot = this.#members.reduce((least, one) => (one.size < least.size ? one : least));
    slot.add(member);
    this.#timer ??= setInterval(() => this.#beat(), this.#periodMs / slots);
  }

  /** The timer ends with the last of them. */
  leave(member: Beating): void {
    for (const slot of this.#members) slot.delete(member);
    if (this.#members.some(({ size }) => size > 0)) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #beat(): void {
    this.#next = (this.#next + 1) % slots;
    for (const member of this.#members[this.#next] ?? []) member.beat();
  }
}
