import type { ReactNode } from 'react';

export type Mark = 'run' | 'wait' | 'ok' | 'fail' | 'todo' | 'pause' | 'stop' | 'unknown' | 'done' | 'you';

const colors: Record<Mark, string> = {
  run: 'text-run',
  wait: 'text-wait',
  ok: 'text-ok',
  fail: 'text-fail',
  todo: 'text-ink-3',
  pause: 'text-wait',
  stop: 'text-ink-3',
  unknown: 'text-ink-3',
  done: 'text-ok',
  you: 'text-accent',
};

/** A state by its shape and colour; the word stands beside it. */
export function StateMark({ mark, className = 'size-[13px]' }: { mark: Mark; className?: string }) {
  return (
    <svg
      viewBox="0 0 16 16"
      className={`${className} shrink-0 ${colors[mark]} ${mark === 'run' ? 'animate-turn' : ''}`}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {shapes[mark]}
    </svg>
  );
}

const shapes: Record<Mark, ReactNode> = {
  run: (
    <>
      <circle cx="8" cy="8" r="6" strokeWidth="2" opacity=".25" />
      <path d="M8 2a6 6 0 0 1 6 6" strokeWidth="2" />
    </>
  ),
  wait: (
    <>
      <path d="M8 1.5 14.5 8 8 14.5 1.5 8Z" />
      <path d="M8 5v3.6M8 10.6v.2" />
    </>
  ),
  ok: (
    <>
      <circle cx="8" cy="8" r="6.4" />
      <path d="m5.2 8.2 2 2 3.6-4.2" />
    </>
  ),
  fail: (
    <>
      <rect x="2" y="2" width="12" height="12" rx="3" />
      <path d="m5.6 5.6 4.8 4.8M10.4 5.6l-4.8 4.8" />
    </>
  ),
  todo: <circle cx="8" cy="8" r="5.6" strokeWidth="1.6" strokeDasharray="2.4 2.4" />,
  pause: (
    <>
      <circle cx="8" cy="8" r="6.4" />
      <path d="M6.4 5.8v4.4M9.6 5.8v4.4" />
    </>
  ),
  stop: (
    <>
      <circle cx="8" cy="8" r="6.4" />
      <path d="m3.6 12.4 8.8-8.8" />
    </>
  ),
  unknown: (
    <>
      <circle cx="8" cy="8" r="6.4" strokeDasharray="2.4 2.4" />
      <path d="M6.4 6.4a1.7 1.7 0 1 1 2.4 1.6c-.5.2-.8.6-.8 1.1M8 11.2v.1" strokeWidth="1.5" />
    </>
  ),
  done: <path d="m3.5 8.4 3 3 6-6.6" />,
  you: <path d="M3 3h10v7H8l-3 3v-3H3Z" strokeWidth="1.6" />,
};

/** A state with its word. */
export function State({ mark, children }: { mark: Mark; children: ReactNode }) {
  return (
    <span
      className={`inline-flex items-center gap-1.5 align-middle text-sm whitespace-nowrap ${colors[mark]}`}
    >
      <StateMark mark={mark} />
      {children}
    </span>
  );
}
