import { useCallback, useMemo, useState } from 'react';
import { useStatus, useTasks } from '../../api/queries.ts';
import { keepSeenFailure, listNeeds, type Need, readSeenFailures } from './needs-you.ts';

/** What needs somebody, and how to put a failure aside. */
export function useNeeds(): { needs: Need[]; putAside: (id: string) => void } {
  const status = useStatus();
  const tasks = useTasks();
  const [seen, setSeen] = useState(readSeenFailures);
  const putAside = useCallback((id: string) => {
    keepSeenFailure(id);
    setSeen(readSeenFailures());
  }, []);
  const needs = useMemo(
    () => (status.data === undefined ? [] : listNeeds(status.data, tasks.data ?? [], seen, Date.now())),
    [status.data, tasks.data, seen],
  );
  return { needs, putAside };
}
