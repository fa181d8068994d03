import { createHash } from 'node:crypto';
import { canonicalJson } from '../../contract/canonical-json.ts';

export const genesisHash = '0'.repeat(64);

/** An event as the chain sees it: everything that is stored but the hash itself. */
export interface ChainedEvent {
  sequence: number;
  id: string;
  type: string;
  entity_type: string;
  entity_id: string;
  task_id: string | null;
  run_id: string | null;
  actor: string;
  data: unknown;
  time: string;
  /** Events from before there were any have none, and hash as they did. */
  project_id: string | null;
}

/** SHA-256 over the hash before and the event's canonical JSON: a change or a cut breaks every later hash. */
export function chainHash(previous: string, event: ChainedEvent): string {
  return createHash('sha256')
    .update(previous)
    .update('\n')
    .update(
      canonicalJson([
        event.sequence,
        event.id,
        event.type,
        event.entity_type,
        event.entity_id,
        event.task_id,
        event.run_id,
        event.actor,
        event.data,
        event.time,
        ...(event.project_id === null ? [] : [event.project_id]),
      ]),
    )
    .digest('hex');
}
