import type { ReactNode } from 'react';

/** A titled part of a page. */
export function Section(props: { title: string; note?: ReactNode; children: ReactNode; aside?: ReactNode }) {
  const { title, note, aside, children } = props;
  return (
    <section className="px-3.5 pt-4 md:px-5">
      <div className="mb-2 flex flex-wrap items-baseline gap-x-2">
        <h2 className="text-sm font-semibold text-ink-2">{title}</h2>
        {note !== undefined && <span className="text-sm text-ink-3">{note}</span>}
        {aside !== undefined && <span className="ml-auto">{aside}</span>}
      </div>
      {children}
    </section>
  );
}

export function Panel({ children, className = '' }: { children: ReactNode; className?: string }) {
  return <div className={`rounded-lg border border-line bg-panel ${className}`}>{children}</div>;
}

/** A list whose rows are divided by lines. */
export function RowList({ children, label }: { children: ReactNode; label: string }) {
  return (
    <ul
      aria-label={label}
      className="divide-y divide-line overflow-hidden rounded-lg border border-line bg-panel empty:hidden"
    >
      {children}
    </ul>
  );
}

/** What a part says where it has nothing yet: what will be here, and what to do for it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="rounded-lg border border-dashed border-line-control px-5 py-7 text-center">
      <p className="font-medium">{title}</p>
      {children !== undefined && <div className="mx-auto mt-1 max-w-[56ch] text-ink-2">{children}</div>}
    </div>
  );
}

export function Code({ children }: { children: ReactNode }) {
  return (
    <code className="rounded bg-sunken px-1.5 py-0.5 font-mono text-[0.92em] break-words text-ink">
      {children}
    </code>
  );
}

/** One quiet line, where nothing is the usual case. */
export function Quiet({ children }: { children: ReactNode }) {
  return <p className="rounded-lg border border-line px-3.5 py-2.5 text-ink-2">{children}</p>;
}
