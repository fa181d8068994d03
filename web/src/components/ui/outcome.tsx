import { RotateCw } from 'lucide-react';
import { isUnauthenticated, messageOf } from '../../api/request.ts';
import { Button } from './button.tsx';
import { StateMark } from './state-mark.tsx';

/** A failure in place, with its sentence and a way to try again. */
export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  return (
    <div
      role="alert"
      className="m-3.5 flex items-start gap-3 rounded-lg border border-line bg-fail-soft p-3.5 md:m-5"
    >
      <StateMark mark="fail" className="mt-0.5 size-4" />
      <div className="min-w-0 flex-1">
        <p className="font-medium text-fail">
          {isUnauthenticated(error) ? 'Your session has ended' : 'This could not be read'}
        </p>
        <p className="break-words text-ink-2">{messageOf(error)}</p>
      </div>
      {onRetry !== undefined && (
        <Button onClick={onRetry}>
          <RotateCw size={13} aria-hidden="true" /> Try again
        </Button>
      )}
    </div>
  );
}

/** A failure beside the button that caused it. */
export function InlineFailure({ error }: { error: unknown }) {
  if (error === null || error === undefined) return null;
  return (
    <p role="alert" className="flex items-start gap-1.5 text-sm text-fail">
      <StateMark mark="fail" className="mt-[3px] size-[13px]" />
      <span className="min-w-0 break-words">{messageOf(error)}</span>
    </p>
  );
}

/** Grey bars in the place of what is being read. */
export function Loading({ rows = 5, label }: { rows?: number; label: string }) {
  return (
    <div className="grid gap-2.5 p-3.5 md:p-5">
      <output className="sr-only">{label}</output>
      {Array.from({ length: rows }, (_, row) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: the bars have no identity
          key={row}
          className="h-9 animate-pulse rounded-md bg-hover"
          style={{ width: `${100 - ((row * 17) % 40)}%` }}
        />
      ))}
    </div>
  );
}
