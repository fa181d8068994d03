import type { z } from 'zod';
import { type eventFilterQuery, expandEventTypes, visibleEventTypes } from '../../contract/events.ts';
import type { LiveText } from '../../contract/system.ts';
import type { Actor } from '../domain/actor.ts';
import type { EventFilter } from '../events/filter.ts';
import type { RunPlaces } from '../events/run-places.ts';

/** What this actor is shown of what was asked for: only events of the kinds and projects that it may read. */
export function filterFor(
  { permissions, projects }: Pick<Actor, 'permissions' | 'projects'>,
  query: z.output<typeof eventFilterQuery>,
): EventFilter {
  const asked = query.types === undefined ? undefined : expandEventTypes(query.types);
  return {
    types: visibleEventTypes(permissions, asked),
    subject: query.subject,
    projectId: query.project,
    runId: query.run,
    taskId: query.task,
    projects,
  };
}

/**
 * Whether live text is for this follower, null where none is: it belongs to the run whose steps it will stand in, so who filters by
 * something else than run, task or project is not shown it.
 */
export function liveTextTest(
  { permissions }: Pick<Actor, 'permissions'>,
  query: z.output<typeof eventFilterQuery>,
  filter: EventFilter,
  places: RunPlaces,
): ((live: LiveText) => boolean) | null {
  const { runId, taskId, projectId, projects } = filter;
  if (!permissions.includes('runs:read') || query.types !== undefined || query.subject !== undefined)
    return null;
  return (live) => {
    if (runId !== undefined && live.runId !== runId) return false;
    if (taskId === undefined && projectId === undefined && !projects) return true;
    const place = places.find(live.runId);
    if (place === undefined) return false;
    if (taskId !== undefined && place.taskId !== taskId) return false;
    if (projectId !== undefined && place.projectId !== projectId) return false;
    return !projects || (place.projectId !== null && projects.includes(place.projectId));
  };
}

const mostShared = 500;

/** Filters of the same types hold them once: thousands of followers ask alike. */
export function shareTypes(): (filter: EventFilter) => EventFilter {
  const known = new Map<string, NonNullable<EventFilter['types']>>();
  return (filter) => {
    if (filter.types === undefined) return filter;
    const name = filter.types.join();
    const types = known.get(name) ?? filter.types;
    if (known.size < mostShared) known.set(name, types);
    return { ...filter, types };
  };
}
