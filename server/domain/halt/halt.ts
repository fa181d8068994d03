import type { Halt } from '../../../contract/system.ts';
import type { Database } from '../../database/database.ts';
import { AppError } from '../../errors.ts';
import { appendEvents, type NewEvent } from '../../events/append.ts';
import { beginHalt, endHalt, readHalt } from '../../runs/halt.ts';
import type { Actor } from '../actor.ts';

interface HaltContext {
  database: Database;
  now: () => number;
}

/**
 * Stops everything: every run is interrupted and paused, and no worker takes one until the release. Asked
 * again, the first stop stands.
 * @throws AppError forbidden
 */
export async function stopEverything(
  { database, now }: HaltContext,
  actor: Actor,
  reason: string,
): Promise<Halt | null> {
  requireOperator(actor);
  return database.transaction('halt.begin', async (transaction) => {
    const began = await beginHalt(transaction, { by: actor.name, reason, now: now() });
    if (began) await appendEvents(transaction, [haltEvent('halt.began', actor, { reason })]);
    return readHalt(transaction);
  });
}

/** Every run is what it was before; what people paused stays paused. @throws AppError forbidden */
export async function releaseEverything({ database }: HaltContext, actor: Actor): Promise<void> {
  requireOperator(actor);
  await database.transaction('halt.end', async (transaction) => {
    if (await endHalt(transaction, actor.name))
      await appendEvents(transaction, [haltEvent('halt.ended', actor, {})]);
  });
}

function haltEvent(type: 'halt.began' | 'halt.ended', actor: Actor, data: Record<string, unknown>): NewEvent {
  return { type, entityType: 'halt', entityId: 'halt', actor: actor.name, data };
}

function requireOperator(actor: Actor): void {
  const isOperator = actor.role === 'admin' || actor.role === 'operator';
  if (isOperator && actor.projects === null) return;
  throw new AppError(
    'forbidden',
    'only operators and admins of all projects stop and release everything; stop the runs that you see one by one',
  );
}
