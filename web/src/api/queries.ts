import { useQuery } from '@tanstack/react-query';
import { askView } from '../../../contract/asks.ts';
import { changeDiff, changeView } from '../../../contract/changes.ts';
import { modelsView } from '../../../contract/models.ts';
import { runView } from '../../../contract/runs.ts';
import { sessionView } from '../../../contract/sessions.ts';
import { statusView } from '../../../contract/system.ts';
import { taskView } from '../../../contract/tasks.ts';
import { useParts } from './parts.tsx';
import { isUnauthenticated } from './request.ts';
import { askList, changeList, runList, stepList, taskList } from './schemas.ts';

/** Leases are asked for again so often while something runs; everything else waits for its event. */
const leaseRefreshMs = 5_000;
const idleRefreshMs = 30_000;

export function useSession() {
  const { api } = useParts();
  return useQuery({
    queryKey: ['session'],
    queryFn: async ({ signal }) => {
      const session = await api.get('/session', sessionView, signal);
      api.csrf = session.csrf;
      return session;
    },
    retry: (count, error) => !isUnauthenticated(error) && count < 2,
    refetchOnWindowFocus: true,
  });
}

/** Viewers look; operators and admins act. */
export function useCanAct(): boolean {
  const role = useSession().data?.principal.role;
  return role === 'admin' || role === 'operator';
}

export function useStatus() {
  const { api } = useParts();
  return useQuery({
    queryKey: ['status'],
    queryFn: ({ signal }) => api.get('/status', statusView, signal),
    refetchInterval: ({ state }) =>
      state.data?.runs.some((run) => run.lease !== null) === true ? leaseRefreshMs : idleRefreshMs,
  });
}

export function useRun(id: string) {
  const { api } = useParts();
  return useQuery({
    queryKey: ['run', id],
    queryFn: ({ signal }) => api.get(`/runs/${id}`, runView, signal),
    refetchInterval: ({ state }) => (state.data?.endedAt === null ? leaseRefreshMs : false),
  });
}

/** The newest step of a run; while the next is read, the one before. */
export function useLastStep(runId: string, steps: number) {
  const { api } = useParts();
  const last = useQuery({
    queryKey: ['last-step', runId, steps],
    queryFn: ({ signal }) =>
      api.get(`/runs/${runId}/steps?after=${Math.max(0, steps - 1)}&limit=5`, stepList, signal),
    placeholderData: (before) => before,
    enabled: steps > 0,
  });
  return last.data?.items.at(-1);
}

export function useRuns(taskId?: string) {
  const { api } = useParts();
  const path = taskId === undefined ? '/runs?limit=60' : `/runs?task=${taskId}`;
  return useQuery({
    queryKey: ['runs', taskId ?? ''],
    queryFn: ({ signal }) => api.get(path, runList, signal),
    select: (list) => list.items,
  });
}

export function useTask(id: string | undefined) {
  const { api } = useParts();
  return useQuery({
    queryKey: ['task', id ?? ''],
    queryFn: ({ signal }) => api.get(`/tasks/${id}`, taskView, signal),
    enabled: id !== undefined,
  });
}

export function useTasks() {
  const { api } = useParts();
  return useQuery({
    queryKey: ['tasks'],
    queryFn: ({ signal }) => api.get('/tasks?limit=200', taskList, signal),
    select: (list) => list.items,
  });
}

export function useAsk(id: string | undefined) {
  const { api } = useParts();
  return useQuery({
    queryKey: ['ask', id ?? ''],
    queryFn: ({ signal }) => api.get(`/asks/${id}`, askView, signal),
    enabled: id !== undefined,
  });
}

export function useAsks() {
  const { api } = useParts();
  return useQuery({
    queryKey: ['asks'],
    queryFn: ({ signal }) => api.get('/asks?limit=100', askList, signal),
    select: (list) => list.items,
  });
}

export function useChange(id: string | undefined) {
  const { api } = useParts();
  return useQuery({
    queryKey: ['change', id ?? ''],
    queryFn: ({ signal }) => api.get(`/changes/${id}`, changeView, signal),
    enabled: id !== undefined,
  });
}

export function useChanges(taskId?: string) {
  const { api } = useParts();
  const path = taskId === undefined ? '/changes?limit=100' : `/changes?task=${taskId}`;
  return useQuery({
    queryKey: ['changes', taskId ?? ''],
    queryFn: ({ signal }) => api.get(path, changeList, signal),
    select: (list) => list.items,
  });
}

/** A change's commit never moves, so that its diff is read once. */
export function useDiff(id: string) {
  const { api } = useParts();
  return useQuery({
    queryKey: ['diff', id],
    queryFn: ({ signal }) => api.get(`/changes/${id}/diff`, changeDiff, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function useModels() {
  const { api } = useParts();
  return useQuery({
    queryKey: ['models'],
    queryFn: ({ signal }) => api.get('/models', modelsView, signal),
    staleTime: 30_000,
  });
}
