import type { CloudEvent } from '../../../contract/events.ts';

export type QueryKey = readonly [string, ...string[]];

/** What an event makes stale, and whether it may wait a second: steps come many a second. */
export function keysTouchedBy(event: CloudEvent): { keys: QueryKey[]; soon: boolean } {
  const [entity = '', id = ''] = event.subject.split('/');
  const [noun] = event.type.split('.');
  if (noun === 'step') {
    return { keys: event.runid === undefined ? [] : [['run', event.runid], ['status']], soon: false };
  }
  const keys: QueryKey[] = [['status']];
  if (event.runid !== undefined) keys.push(['run', event.runid]);
  if (event.taskid !== undefined) keys.push(['task', event.taskid]);
  if (noun === 'run') keys.push(['runs']);
  if (noun === 'task') keys.push(['tasks'], ['task', id]);
  if (noun === 'ask') keys.push(['asks'], ['ask', id]);
  if (noun === 'change') keys.push(['changes'], ['change', id]);
  if (entity === 'run' && noun !== 'run') keys.push(['run', id]);
  return { keys, soon: true };
}
