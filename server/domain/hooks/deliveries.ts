import { createHash, randomBytes } from 'node:crypto';
import {
  type HookDeliveryView,
  type HookReceipt,
  type HookView,
  hookActorName,
} from '../../../contract/hooks.ts';
import type { CreateTaskBody } from '../../../contract/tasks.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, sql } from '../../database/sql.ts';
import { AppError, errorStatus } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { newId } from '../../ids.ts';
import type { Actor } from '../actor.ts';
import type { Artifacts } from '../artifacts/artifacts.ts';
import { insertTask, prepareTask } from '../tasks/tasks.ts';
import { type Door, findHook, type HookContext, openDoor } from './hooks.ts';
import { type SignedRequest, verifySignature } from './signatures.ts';
import { mismatch, renderInstructions, renderTitle } from './templates.ts';

export interface DeliveryContext extends HookContext {
  artifacts: Artifacts;
}

export interface IncomingDelivery extends SignedRequest {
  hook: string;
  /** Of a signed body. @throws AppError invalid_request */
  read: (body: Buffer) => unknown;
  /** Called when the signature was found good. @throws AppError rate_limited */
  admit: (hook: string) => void;
}

/**
 * A delivery that has no effect. What the sender is told says nothing of the hook where nothing proved that it is
 * the sender; `reason` is for those who run the server.
 */
export class DeliveryRefused extends AppError {
  readonly reason: string;
  constructor(to: 'stranger' | 'sender', reason: string, cause?: unknown) {
    if (to === 'stranger') super('unauthenticated', strangersAnswer, { cause });
    else super('unprocessable', sendersAnswer, { cause });
    this.reason = reason;
  }
}

const strangersAnswer =
  'There is no such hook, or the request is not signed by its secret within the last five minutes: look at the address, the secret and the clock.';
const sendersAnswer =
  'The delivery is signed, and makes no task as it is: the hook’s deliveries say why to those who run this server.';

/** Takes the place of a second secret, so that two take as long as one; what it would find good is not looked at. */
const nobodysSecret = randomBytes(32).toString('base64url');

interface Proof {
  senderId: string;
  bodyHash: Buffer;
  replayHash: Buffer | null;
}

/**
 * Takes a delivery in: at most one task for each identifier of its sender, and the same receipt for each repetition,
 * at the same moment as well.
 * @throws DeliveryRefused, and AppError where it should be sent again
 */
export async function receiveDelivery(
  context: DeliveryContext,
  incoming: IncomingDelivery,
): Promise<HookReceipt> {
  const proof = prove(await openDoor(context, incoming.hook), incoming, context.now());
  const hook = await findHook(context.database, incoming.hook);
  if (hook === undefined) throw noSuchHook();
  incoming.admit(hook.id);
  const before = await findBefore(context.database, hook.id, proof);
  if (before !== undefined) return before;
  const body = readBody(incoming);
  const reason = whyIgnored(hook, incoming, body);
  if (reason !== null) return once(context, hook, proof, { status: 'ignored', reason });
  return makeTask(context, hook, proof, { body, bytes: incoming.body });
}

/** The same work whether the hook is there or not, and whether or not it has two secrets. @throws DeliveryRefused */
function prove({ isThere, isActive, scheme, secrets }: Door, incoming: IncomingDelivery, now: number): Proof {
  const verdict = verifySignature(scheme, incoming, { secrets, now });
  const others = Array.from({ length: Math.max(0, 2 - secrets.length) }, () => nobodysSecret);
  verifySignature(scheme, incoming, { secrets: others, now });
  if (!isThere) throw noSuchHook();
  if (secrets.length === 0)
    throw new DeliveryRefused(
      'stranger',
      'the secret of the hook cannot be opened: its vault key is not here',
    );
  if (!verdict.ok) throw new DeliveryRefused('stranger', verdict.reason);
  if (!isActive) throw new DeliveryRefused('stranger', 'the hook is disabled');
  const bodyHash = createHash('sha256').update(incoming.body).digest();
  return { senderId: verdict.senderId, replayHash: verdict.replayHash, bodyHash };
}

const noSuchHook = () => new DeliveryRefused('stranger', 'there is no such hook');

function readBody({ read, body }: IncomingDelivery): unknown {
  try {
    return read(body);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new DeliveryRefused('sender', `its body cannot be read: ${error.message}`, error);
  }
}

function whyIgnored(hook: HookView, { headers }: IncomingDelivery, body: unknown): string | null {
  if (hook.scheme === 'github' && headers['x-github-event'] === 'ping') return 'GitHub tried the hook out';
  return mismatch(hook.only, body);
}

async function makeTask(
  context: DeliveryContext,
  hook: HookView,
  proof: Proof,
  { body, bytes }: { body: unknown; bytes: Buffer },
): Promise<HookReceipt> {
  const actor = actorOf(hook);
  const file = `${hook.name}.json`;
  const wanted: CreateTaskBody = {
    ...hook.task,
    project: hook.project,
    title: renderTitle(hook.title, body),
    instructions: renderInstructions(hook.instructions, body, { hook: hook.name, bytes, file }),
  };
  try {
    const prepared = await prepareTask(context, actor, wanted);
    const kept = await context.artifacts.keepBytes({
      bytes,
      name: file,
      mediaType: 'application/json',
      actor: actor.name,
    });
    return await once(context, hook, proof, {
      status: 'accepted',
      reason: null,
      make: async (transaction) => {
        const attached = { ...prepared, body: { ...wanted, attachments: [kept.id] } };
        return (await insertTask(transaction, context, actor, attached)).task.id;
      },
    });
  } catch (error) {
    if (error instanceof DeliveryRefused || !(error instanceof AppError) || errorStatus[error.code] >= 500)
      throw error;
    throw new DeliveryRefused('sender', `its task cannot be made: ${error.message}`, error);
  }
}

/** A hook gives tasks to its project, and may do nothing else. */
function actorOf({ id, name, project }: HookView): Actor {
  return {
    id,
    name: hookActorName(name),
    role: 'operator',
    projects: [project],
    permissions: ['tasks:write'],
    keyId: null,
    sessionId: null,
  };
}

/**
 * The row of the delivery comes first: who brings the same one at the same moment waits at its index until this
 * transaction is over, and finds it.
 */
async function once(
  { database }: DeliveryContext,
  hook: HookView,
  proof: Proof,
  effect: {
    status: HookReceipt['status'];
    reason: string | null;
    make?: (transaction: Transaction) => Promise<string>;
  },
): Promise<HookReceipt> {
  const id = newId('hdl');
  return database.transaction('hooks.deliver', async (transaction) => {
    const live = await transaction.maybe(
      sql`SELECT id FROM hooks WHERE id = ${hook.id} AND status = 'active' FOR SHARE`,
    );
    if (live === undefined) throw new DeliveryRefused('stranger', 'the hook is disabled');
    const { status, reason } = effect;
    const inserted = await transaction.maybe(
      sql`INSERT INTO hook_deliveries (id, hook_id, status, sender_key, body_hash, replay_hash, reason)
          VALUES (${id}, ${hook.id}, ${status}, ${proof.senderId}, ${proof.bodyHash}, ${proof.replayHash}, ${reason})
          ON CONFLICT DO NOTHING RETURNING id`,
    );
    if (inserted === undefined) {
      const before = await findBefore(transaction, hook.id, proof);
      if (before !== undefined) return before;
      throw new AppError('conflict', 'The same delivery is being taken in; send it again.');
    }
    const task = (await effect.make?.(transaction)) ?? null;
    if (task !== null)
      await transaction.many(sql`UPDATE hook_deliveries SET task_id = ${task} WHERE id = ${id}`);
    await appendEvents(transaction, [
      {
        type: `hook.${status}`,
        entityType: 'hook',
        entityId: hook.id,
        projectId: hook.project,
        taskId: task,
        actor: hookActorName(hook.name),
        data: { delivery: id, senderId: proof.senderId, ...(reason === null ? {} : { reason }) },
      },
    ]);
    return { id, status, task };
  });
}

/** @throws DeliveryRefused where the identifier came before with another body */
async function findBefore(
  database: Queryable,
  hook: string,
  { senderId, bodyHash, replayHash }: Proof,
): Promise<HookReceipt | undefined> {
  const row = await database.maybe<HookReceipt & { bodyHash: Buffer }>(
    sql`SELECT id, status, task_id AS task, body_hash AS "bodyHash" FROM hook_deliveries
        WHERE hook_id = ${hook} AND (sender_key = ${senderId} OR replay_hash = ${replayHash}::bytea)
        ORDER BY (sender_key = ${senderId}) DESC LIMIT 1`,
  );
  if (row === undefined) return undefined;
  if (!row.bodyHash.equals(bodyHash))
    throw new DeliveryRefused('sender', 'its identifier came before, with another body');
  const { id, status, task } = row;
  return { id, status, task };
}

/**
 * Keeps that a delivery was refused; of one minute and reason in one row with one event, so that a flood of them
 * fills neither table nor log. To be called after the sender was answered: it takes longer where there is a hook.
 */
export async function recordRefusal(database: Database, hook: string, reason: string): Promise<void> {
  await database.transaction('hooks.refuse', async (transaction) => {
    const row = await transaction.maybe<{ id: string; times: number; name: string; project: string }>(
      sql`INSERT INTO hook_deliveries AS kept (id, hook_id, status, reason, minute)
          SELECT ${newId('hdl')}, id, 'refused', ${reason.slice(0, 500)}, date_trunc('minute', now())
          FROM hooks WHERE id = ${hook}
          ON CONFLICT (hook_id, reason, minute) WHERE status = 'refused'
            DO UPDATE SET times = kept.times + 1, at = now()
          RETURNING id, times, (SELECT name FROM hooks WHERE id = kept.hook_id) AS name,
            (SELECT project_id FROM hooks WHERE id = kept.hook_id) AS project`,
    );
    if (row === undefined || row.times > 1) return;
    await appendEvents(transaction, [
      {
        type: 'hook.refused',
        entityType: 'hook',
        entityId: hook,
        projectId: row.project,
        actor: hookActorName(row.name),
        data: { delivery: row.id, reason: reason.slice(0, 500) },
      },
    ]);
  });
}

/** The newest first. */
export function listHookDeliveries(
  database: Queryable,
  hook: string,
  page: { status?: HookDeliveryView['status'] | undefined; before?: string | undefined; limit: number },
): Promise<HookDeliveryView[]> {
  const { status, before, limit } = page;
  return database.many<HookDeliveryView>(
    sql`SELECT id, hook_id AS hook, status, sender_key AS "senderId", reason, times, task_id AS task, at
        FROM hook_deliveries WHERE hook_id = ${hook}
          ${status === undefined ? empty : sql`AND status = ${status}`}
          ${before === undefined ? empty : sql`AND id < ${before}`} ORDER BY id DESC LIMIT ${limit}`,
  );
}
