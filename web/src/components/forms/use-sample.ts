import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { createdTask } from '../../../../contract/tasks.ts';
import { useParts } from '../../api/parts.tsx';

/** Starts the sample task with the recorded model and shows its run. */
export function useSample() {
  const { api, queries } = useParts();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: () => api.post('/sample', undefined, createdTask),
    onSuccess: ({ run }) => {
      void queries.invalidateQueries({ queryKey: ['tasks'] });
      void navigate({ to: '/runs/$runId', params: { runId: run.id } });
    },
  });
}
