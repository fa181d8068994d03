import type { QueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext } from 'react';
import type { EventSocket } from './event-socket.ts';
import type { ApiClient } from './request.ts';

export interface Parts {
  api: ApiClient;
  socket: EventSocket;
  queries: QueryClient;
}

const PartsContext = createContext<Parts | null>(null);

export function PartsProvider({ parts, children }: { parts: Parts; children: ReactNode }) {
  return <PartsContext value={parts}>{children}</PartsContext>;
}

export function useParts(): Parts {
  const parts = useContext(PartsContext);
  if (parts === null) throw new Error('useParts needs a PartsProvider above it');
  return parts;
}
