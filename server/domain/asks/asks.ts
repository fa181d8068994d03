import type { AskView, DecideAskBody } from '../../../contract/asks.ts';
import { canonicalJson } from '../../../contract/canonical-json.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents, type NewEvent } from '../../events/append.ts';
import { wakeRun } from '../../runs/lease.ts';
import { setTimer } from '../../runs/timers.ts';
import { type Actor, ofVisibleTask, requirePermission } from '../actor.ts';
import { insertRule } from '../policies/policies.ts';
import { type AskRow, offerOf, presentAsk } from './present-ask.ts';

export interface NewAsk {
  id: string;
  runId: string;
  taskId: string;
  kind: AskView['kind'];
  question: string;
  detail: Record<string, unknown>;
  actionHash: string;
  owner: string;
  deadlineAt: number;
  defaultDecision: 'approve' | 'deny';
  actor: string;
}

/** Each with whose it is, so that what is shown and offered needs no second look. */
const columns = sql`id, run_id AS "runId", task_id AS "taskId", kind, question, detail, action_hash AS "actionHash", owner,
  deadline, default_decision AS "defaultDecision", status, decision, answer, input, decided_by AS "decidedBy",
  version, remember, created_at AS "createdAt",
  (SELECT jsonb_build_object('agent', agents.name, 'project', tasks.project_id)
     FROM runs JOIN agents ON agents.id = runs.agent_id LEFT JOIN tasks ON tasks.id = runs.task_id
     WHERE runs.id = asks.run_id) AS "madeBy"`;

/** Opens an ask with its deadline, in the transaction of the step that waits for it. */
export async function openAsk(transaction: Transaction, ask: NewAsk): Promise<void> {
  await transaction.many(
    sql`INSERT INTO asks (id, run_id, task_id, kind, question, detail, action_hash, owner, deadline, default_decision, status)
        VALUES (${ask.id}, ${ask.runId}, ${ask.taskId}, ${ask.kind}, ${ask.question}, ${json(ask.detail)},
          ${ask.actionHash}, ${ask.owner}, ${new Date(ask.deadlineAt).toISOString()}::timestamptz,
          ${ask.defaultDecision}, 'open')`,
  );
  await setTimer(transaction, { kind: 'ask.deadline', ref: ask.id, dueAt: ask.deadlineAt });
  await appendEvents(transaction, [
    askEvent('ask.opened', ask, ask.actor, { kind: ask.kind, question: ask.question, owner: ask.owner }),
  ]);
}

export async function findAsk(database: Queryable, id: string): Promise<AskView | undefined> {
  const ask = await database.maybe<AskRow>(sql`SELECT ${columns} FROM asks WHERE id = ${id}`);
  return ask === undefined ? undefined : presentAsk(ask);
}

export async function listAsks(
  database: Queryable,
  filter: {
    status?: AskView['status'] | undefined;
    /** Only what this actor sees. */
    actor?: Pick<Actor, 'projects'>;
    before?: string | undefined;
    limit: number;
  },
): Promise<AskView[]> {
  const asks = await database.many<AskRow>(
    sql`SELECT ${columns} FROM asks WHERE true
        ${filter.status === undefined ? empty : sql`AND status = ${filter.status}`}
        ${filter.before === undefined ? empty : sql`AND id < ${filter.before}`}
        ${ofVisibleTask(filter.actor, sql`task_id`)}
        ORDER BY id DESC LIMIT ${filter.limit}`,
  );
  return asks.map(presentAsk);
}

/**
 * Decides an ask: the first decision holds, and wakes the run. The same decision again is answered alike.
 * @throws AppError not_found, already_decided, conflict (another action), forbidden
 */
export async function decideAsk(
  database: Database,
  actor: Actor,
  id: string,
  decision: DecideAskBody,
  now: number,
): Promise<AskView> {
  if (actor.role !== 'admin' && actor.role !== 'operator') {
    throw new AppError('forbidden', 'only operators and admins decide asks');
  }
  return database.transaction('asks.decide', async (transaction) => {
    const ask = await transaction.maybe<AskRow>(
      sql`SELECT ${columns} FROM asks WHERE id = ${id} FOR UPDATE OF asks`,
    );
    if (ask === undefined)
      throw new AppError('not_found', `there is no ask ${id}; list them with \`mission status\``);
    if (decision.actionHash !== undefined && decision.actionHash !== ask.actionHash) {
      throw new AppError(
        'conflict',
        'the ask is about another action than the one you saw; look at it again',
      );
    }
    if (ask.status !== 'open') {
      if (
        ask.decision === decision.decision &&
        ask.answer === decision.answer &&
        canonicalJson(ask.input) === canonicalJson(decision.input ?? null) &&
        ask.remember === (decision.remember ?? null) &&
        ask.decidedBy === actor.name
      )
        return presentAsk(ask);
      const how = ask.decision === null ? ask.status : `${ask.decision} by ${ask.decidedBy}`;
      throw new AppError('already_decided', `the ask was already decided: ${how}`);
    }
    refuseWrongKind(ask, decision);
    const decided = await transaction.one<AskRow>(
      sql`UPDATE asks SET status = 'decided', decision = ${decision.decision}, answer = ${decision.answer},
            input = ${json(decision.input)}, remember = ${decision.remember ?? null},
            decided_by = ${actor.name}, decided_at = now() WHERE id = ${id} RETURNING ${columns}`,
    );
    await appendEvents(transaction, [
      askEvent('ask.decided', ask, actor.name, {
        decision: decision.decision,
        ...(decision.input === undefined ? {} : { edited: true }),
        ...(decision.remember === undefined ? {} : { remember: decision.remember }),
      }),
    ]);
    await rememberApproval(transaction, actor, decided);
    await wakeRun(transaction, { runId: ask.runId, actor: actor.name, now, reason: `${id} was decided` });
    return presentAsk(decided);
  });
}

/** What was approved for longer than once becomes a rule in the commit of the decision. */
async function rememberApproval(transaction: Transaction, actor: Actor, ask: AskRow): Promise<void> {
  const offer = offerOf(ask);
  if (ask.remember === null || offer === null) return;
  // For its own run a decider of asks may say it; what outlasts the run is a change of the policy.
  if (ask.remember === 'rule') requirePermission(actor, 'policy:manage');
  await insertRule(transaction, {
    rule: offer.rule,
    scope: ask.remember === 'run' ? { run: ask.runId } : offer.scope,
    why: `approved ${ask.remember === 'run' ? 'for the run' : 'as a rule'}: ${ask.question}`.slice(0, 2_000),
    by: actor.name,
    askId: ask.id,
  });
}

function refuseWrongKind(ask: AskRow, decision: DecideAskBody): void {
  if (ask.kind === 'clarification' && decision.decision !== 'deny' && decision.answer.trim() === '') {
    throw new AppError(
      'unprocessable',
      'this ask is a question: give the answer, as in `mission approve ASK "the answer"`',
    );
  }
  if (ask.kind !== 'clarification' && decision.decision === 'answer') {
    throw new AppError('unprocessable', 'this ask wants approve or deny');
  }
  const isApproval = offerOf(ask) !== null && decision.decision === 'approve';
  if (decision.input !== undefined && !isApproval) {
    throw new AppError(
      'unprocessable',
      'arguments can be changed only with the approval of a tool call; leave out `input`',
    );
  }
  if (decision.remember !== undefined && !isApproval) {
    throw new AppError(
      'unprocessable',
      'only the approval of a tool call can be remembered; leave out `remember`',
    );
  }
}

/** The deadline has come: an open ask takes its default, and the run goes on with that. */
export async function expireAsk(transaction: Transaction, id: string, now: number): Promise<void> {
  const ask = await transaction.maybe<AskRow>(
    sql`UPDATE asks SET status = 'expired', decision = default_decision, answer = 'nobody decided in time', decided_by = 'deadline',
          decided_at = now() WHERE id = ${id} AND status = 'open' RETURNING ${columns}`,
  );
  if (ask === undefined) return;
  await appendEvents(transaction, [
    askEvent('ask.expired', ask, 'control-plane', { decision: ask.defaultDecision }),
  ]);
  await wakeRun(transaction, {
    runId: ask.runId,
    actor: 'control-plane',
    now,
    reason: `${id} reached its deadline`,
  });
}

/** A run that ends takes its open asks back. */
export async function withdrawAsks(transaction: Transaction, runId: string): Promise<void> {
  const asks = await transaction.many<AskRow>(
    sql`UPDATE asks SET status = 'withdrawn' WHERE run_id = ${runId} AND status = 'open' RETURNING ${columns}`,
  );
  await appendEvents(
    transaction,
    asks.map((ask) => askEvent('ask.withdrawn', ask, 'control-plane', {})),
  );
}

function askEvent(
  type: 'ask.opened' | 'ask.decided' | 'ask.expired' | 'ask.withdrawn',
  ask: { id: string; runId: string; taskId: string },
  actor: string,
  data: Record<string, unknown>,
): NewEvent {
  return { type, entityType: 'ask', entityId: ask.id, runId: ask.runId, taskId: ask.taskId, actor, data };
}
