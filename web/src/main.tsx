import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { z } from 'zod';
import './app.css';
import { EventSocket } from './api/event-socket.ts';
import { PartsProvider } from './api/parts.tsx';
import { ApiClient, ApiProblem, isUnauthenticated } from './api/request.ts';
import { ToastProvider } from './components/ui/toasts.tsx';
import { createAppRouter, preloadPages } from './router.tsx';

// The content policy forbids making code from text, which Zod would try for speed.
z.config({ jitless: true });

/** After the first page has what it needs. */
const preloadAfterMs = 1_500;

const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    // A session that has ended shows itself at whatever is asked next; the gate then leads to the login.
    onError: (error, query) => {
      if (isUnauthenticated(error) && query.queryKey[0] !== 'session')
        void queries.invalidateQueries({ queryKey: ['session'] });
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => !(error instanceof ApiProblem) && count < 2,
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
});
const api = new ApiClient();
const parts = { api, socket: new EventSocket(api.transport), queries };
const root = document.getElementById('root');
if (root === null) throw new Error('the page has no root element');
createRoot(root).render(
  <StrictMode>
    <PartsProvider parts={parts}>
      <QueryClientProvider client={queries}>
        <ToastProvider>
          <RouterProvider router={createAppRouter()} />
        </ToastProvider>
      </QueryClientProvider>
    </PartsProvider>
  </StrictMode>,
);
addEventListener('load', () => setTimeout(() => void preloadPages(), preloadAfterMs), { once: true });
