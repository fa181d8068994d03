import { useSyncExternalStore } from 'react';
import type { Connection } from './event-socket.ts';
import { useParts } from './parts.tsx';

export function useConnection(): Connection {
  const { socket } = useParts();
  return useSyncExternalStore(socket.watch, () => socket.connection);
}
