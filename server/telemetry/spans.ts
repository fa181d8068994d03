import { inTrace } from '../trace-context.ts';
import type { TraceSpan } from './tracing.ts';

/** What the body does and begins stands below the span, which ends with it. */
export async function within<T>(span: TraceSpan, body: () => Promise<T>): Promise<T> {
  try {
    return await inTrace(span.context, body);
  } catch (error) {
    span.fail(classOf(error));
    throw error;
  } finally {
    span.end();
  }
}

/** Never the message: it may hold what was said. */
function classOf(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER';
  return 'class' in error && typeof error.class === 'string' ? error.class : error.name;
}

/** What of the content is shown; null for nothing. Secrets are blotted out of it. */
export type Capture = ((text: string) => string) | null;
