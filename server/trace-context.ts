import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';

/** A place in a trace, as W3C Trace Context writes it. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  /** Whether whoever began the trace wants it kept. */
  sampled: boolean;
}

const current = new AsyncLocalStorage<TraceContext>();

/** Where this work stands in a trace; undefined outside of every one. */
export function currentTrace(): TraceContext | undefined {
  return current.getStore();
}

/** Whatever the body does, and begins, stands at this place. */
export function inTrace<T>(context: TraceContext, body: () => T): T {
  return current.run(context, body);
}

/** @returns null for what is no `traceparent`, which is then no failure but a trace that begins here */
export function readTraceparent(header: unknown): TraceContext | null {
  if (typeof header !== 'string') return null;
  // Versions to come may hold more behind the flags, and are read as this one; ff is no version.
  const match = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header);
  const [, version, traceId = '', spanId = '', flags = '', rest] = match ?? [];
  if (match === null || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  if (version === '00' && rest !== undefined) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function writeTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** As a row keeps it, so that another process can go on; null outside of every trace. */
export function traceparentHere(): string | null {
  const here = currentTrace();
  return here === undefined ? null : writeTraceparent(here);
}

/** A new place below another, or at the beginning of a new trace. */
export function nextPlace(parent: TraceContext | null): TraceContext {
  return {
    traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    sampled: parent?.sampled ?? true,
  };
}
