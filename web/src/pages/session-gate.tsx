import { Navigate, useRouterState } from '@tanstack/react-router';
import { useEffect } from 'react';
import { followEvents } from '../api/follow-events.ts';
import { useParts } from '../api/parts.tsx';
import { useSession } from '../api/queries.ts';
import { isUnauthenticated } from '../api/request.ts';
import { BrandMark } from '../components/shell/brand.tsx';
import { Shell } from '../components/shell/shell.tsx';
import { Failure } from '../components/ui/outcome.tsx';

/** Lets in whoever has a session, and keeps the stream for as long as they are in. */
export function SessionGate() {
  const { socket, queries } = useParts();
  const session = useSession();
  const path = useRouterState({ select: (state) => state.location.href });
  const isIn = session.data !== undefined && !isUnauthenticated(session.error);
  const { refetch } = session;
  useEffect(() => {
    if (!isIn) return;
    const stop = followEvents(socket, queries);
    // A refused stream looks like a lost one: only the session tells them apart.
    const silence = socket.watch(() => {
      if (socket.connection.phase === 'lost') void refetch();
    });
    socket.start();
    return () => {
      silence();
      stop();
      socket.stop();
    };
  }, [isIn, socket, queries, refetch]);
  if (isIn) return <Shell />;
  if (isUnauthenticated(session.error)) {
    rememberPath(path);
    return <Navigate to="/login" replace />;
  }
  if (session.error !== null) return <Failure error={session.error} onRetry={() => void refetch()} />;
  return (
    <div className="grid h-full place-items-center text-ink-3">
      <output>
        <BrandMark className="size-8 motion-safe:animate-pulse" />
        <span className="sr-only">Loading</span>
      </output>
    </div>
  );
}

const stored = 'mission.after-login';

function rememberPath(path: string): void {
  if (path !== '/' && !path.startsWith('/login')) sessionStorage.setItem(stored, path);
}

/** Where somebody was going before the login, once. */
export function takeRememberedPath(): string {
  const path = sessionStorage.getItem(stored) ?? '/';
  sessionStorage.removeItem(stored);
  return /^\/(?![/\\])/.test(path) ? path : '/';
}
