import { Link } from '@tanstack/react-router';
import { OctagonX, Search } from 'lucide-react';
import { type ReactNode, type RefObject, useEffect } from 'react';
import { useConnection } from '../../api/connection.ts';
import { useParts } from '../../api/parts.tsx';
import { useMedia } from '../ui/use-media.ts';
import { useShell } from './shell-context.ts';

interface PageProps {
  /** Of the tab; the count of what needs somebody stands before it. */
  title: string;
  /** The header's left side. */
  heading?: ReactNode;
  actions?: ReactNode;
  parent?: { to: string; title: string };
  children: ReactNode;
  /** False where the page scrolls parts of itself. */
  scrolls?: boolean;
  scroller?: RefObject<HTMLElement | null>;
}

/** A page's header and body. */
export function Page(props: PageProps) {
  const { title, heading, actions, parent, children, scrolls = true, scroller } = props;
  const { needs, openHalt, openPalette, isHalted } = useShell();
  const isWide = useMedia('(min-width: 768px)');
  useEffect(() => {
    document.title = `${needs > 0 ? `(${needs}) ` : ''}${title} · Mission Control`;
  }, [title, needs]);
  const small = 'grid size-9 place-items-center rounded-md md:hidden';
  return (
    <>
      <header className="flex-none border-b border-line bg-bg">
        <div className="flex min-h-[52px] items-center gap-x-3 px-3.5 md:px-5">
          {parent !== undefined && (
            <Link to={parent.to} className="hidden text-ink-3 hover:text-ink lg:inline">
              {parent.title} /
            </Link>
          )}
          {heading ?? <h1 className="truncate text-lg font-semibold">{title}</h1>}
          <span className="flex-1" />
          {isWide && actions}
          <button
            type="button"
            aria-label="Search or do"
            onClick={openPalette}
            className={`${small} text-ink-2`}
          >
            <Search size={18} aria-hidden="true" />
          </button>
          <button
            type="button"
            aria-label="Stop everything"
            onClick={openHalt}
            disabled={isHalted}
            className={`${small} text-fail disabled:opacity-50`}
          >
            <OctagonX size={18} aria-hidden="true" />
          </button>
        </div>
        {actions !== undefined && !isWide && (
          <div className="flex items-center gap-2 overflow-x-auto px-3.5 pb-2.5 empty:hidden">{actions}</div>
        )}
      </header>
      <main
        id="main"
        ref={scroller}
        tabIndex={-1}
        className={`min-h-0 flex-1 outline-none ${scrolls ? 'overflow-auto pb-8' : 'flex flex-col overflow-hidden'}`}
      >
        {children}
      </main>
    </>
  );
}

/** Whether this page hears the server, in two words. */
export function LiveNote() {
  const connection = useConnection();
  const { socket } = useParts();
  if (connection.phase === 'lost') return <span className="text-wait">not connected</span>;
  if (connection.phase === 'connecting') return <span className="text-ink-3">connecting…</span>;
  return (
    <span className="text-ink-3" title="The number of the last event in the log">
      live{socket.cursor === null ? '' : ` · event ${socket.cursor.toLocaleString('en-US')}`}
    </span>
  );
}
