import type { AddRuleBody, PolicyRule, PolicyRuleView, RuleScope } from '../../../contract/policies.ts';
import type { Database, Queryable, Transaction } from '../../database/database.ts';
import { empty, json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import { type Actor, requirePermission } from '../actor.ts';

/** A rule of the database as it is judged by. */
export type NumberedRule = PolicyRule & {
  number: number;
  /** How narrowly it says whom it speaks of; 1 for everybody. */
  weight: number;
};

export interface Policy {
  /** 0 before the first change. */
  version: number;
  rules: NumberedRule[];
}

/** The rules in force for a run, or for an agent in a project, with their version. */
export async function readPolicy(
  database: Queryable,
  of: { agentId: string; agentRole: string; projectId: string | null; runId: string | null },
): Promise<Policy> {
  return database.one<Policy>(
    sql`SELECT coalesce((SELECT max(version) FROM policy_versions), 0) AS version,
          coalesce((SELECT jsonb_agg(rule || jsonb_build_object('number', number, 'weight',
                1 + 8 * (run_id IS NOT NULL)::integer + 4 * (agent_id IS NOT NULL)::integer
                  + 2 * (project_id IS NOT NULL)::integer + (agent_role IS NOT NULL)::integer) ORDER BY number)
              FROM policy_rules
              WHERE removed_in IS NULL AND (agent_id IS NULL OR agent_id = ${of.agentId})
                AND (project_id IS NULL OR project_id = ${of.projectId})
                AND (agent_role IS NULL OR agent_role = ${of.agentRole})
                AND (run_id IS NULL OR run_id = ${of.runId})), '[]') AS rules`,
  );
}

const columns = sql`policy_rules.number, policy_rules.rule, policy_rules.ask_id AS "askId",
  jsonb_strip_nulls(jsonb_build_object('agent', agents.name, 'project', policy_rules.project_id,
    'role', policy_rules.agent_role, 'run', policy_rules.run_id)) AS scope,
  added.version AS "addedVersion", added.by AS "addedBy", added.why AS "addedWhy", added.at AS "addedAt",
  removed.version AS "removedVersion", removed.by AS "removedBy", removed.why AS "removedWhy", removed.at AS "removedAt"`;
const tables = sql`policy_rules JOIN policy_versions added ON added.version = policy_rules.added_in
  LEFT JOIN policy_versions removed ON removed.version = policy_rules.removed_in
  LEFT JOIN agents ON agents.id = policy_rules.agent_id`;

interface RuleRow {
  number: number;
  rule: PolicyRule;
  askId: string | null;
  scope: RuleScope;
  addedVersion: number;
  addedBy: string;
  addedWhy: string;
  addedAt: string;
  removedVersion: number | null;
  removedBy: string | null;
  removedWhy: string | null;
  removedAt: string | null;
}

/** The rules, the newest first; with `history` also those that were removed. */
export async function listRules(
  database: Queryable,
  actor: Pick<Actor, 'projects'>,
  filter: { history: boolean; limit: number },
): Promise<{ version: number; items: PolicyRuleView[] }> {
  const seen =
    actor.projects === null
      ? empty
      : sql`AND (policy_rules.project_id IS NULL OR policy_rules.project_id = ANY(${actor.projects}::text[]))`;
  const rows = await database.many<RuleRow>(
    sql`SELECT ${columns} FROM ${tables}
        WHERE (${filter.history} OR policy_rules.removed_in IS NULL) ${seen}
        ORDER BY policy_rules.number DESC LIMIT ${filter.limit}`,
  );
  const { version } = await database.one<{ version: number }>(
    sql`SELECT coalesce(max(version), 0) AS version FROM policy_versions`,
  );
  return { version, items: rows.map(presentRule) };
}

function presentRule(row: RuleRow): PolicyRuleView {
  const { number, rule, askId, scope } = row;
  return {
    number,
    rule,
    scope,
    askId,
    added: { version: row.addedVersion, by: row.addedBy, why: row.addedWhy, at: row.addedAt },
    removed:
      row.removedVersion === null
        ? null
        : {
            version: row.removedVersion,
            by: row.removedBy ?? '',
            why: row.removedWhy ?? '',
            at: row.removedAt ?? '',
          },
  };
}

/** @throws AppError forbidden; not_found for an agent, project or run that there is not */
export async function addRule(database: Database, actor: Actor, body: AddRuleBody): Promise<PolicyRuleView> {
  requireChanger(actor);
  return database.transaction('policies.add', (transaction) =>
    insertRule(transaction, { ...body, by: actor.name, askId: null }),
  );
}

/** Adds a rule within the transaction of what made it, such as the decision of an ask. */
export async function insertRule(
  transaction: Transaction,
  added: { rule: PolicyRule; scope: RuleScope; why: string; by: string; askId: string | null },
): Promise<PolicyRuleView> {
  const { rule, by, why, askId } = added;
  const scope = await resolveScope(transaction, added.scope);
  const version = await nextVersion(transaction, by, why);
  const { number } = await transaction.one<{ number: number }>(
    sql`INSERT INTO policy_rules (number, rule, agent_id, project_id, agent_role, run_id, ask_id, added_in)
        SELECT coalesce(max(number), 0) + 1, ${json(rule)}, ${scope.agentId}, ${scope.projectId},
          ${scope.role}, ${scope.runId}, ${askId}, ${version} FROM policy_rules RETURNING number`,
  );
  await appendEvents(transaction, [
    {
      type: 'policy.rule_added',
      entityType: 'policy',
      entityId: String(number),
      actor: by,
      data: { version, rule, why },
    },
  ]);
  return findRule(transaction, number);
}

/** @throws AppError forbidden, not_found, wrong_state where it was removed before */
export async function removeRule(
  database: Database,
  actor: Actor,
  number: number,
  why: string,
): Promise<PolicyRuleView> {
  requireChanger(actor);
  return database.transaction('policies.remove', async (transaction) => {
    const version = await nextVersion(transaction, actor.name, why);
    const removed = await transaction.maybe(
      sql`UPDATE policy_rules SET removed_in = ${version} WHERE number = ${number} AND removed_in IS NULL RETURNING number`,
    );
    if (removed === undefined) {
      await findRule(transaction, number);
      throw new AppError('wrong_state', `rule ${number} was removed before`);
    }
    await appendEvents(transaction, [
      {
        type: 'policy.rule_removed',
        entityType: 'policy',
        entityId: String(number),
        actor: actor.name,
        data: { version, why },
      },
    ]);
    return findRule(transaction, number);
  });
}

async function findRule(database: Queryable, number: number): Promise<PolicyRuleView> {
  const row = await database.maybe<RuleRow>(
    sql`SELECT ${columns} FROM ${tables} WHERE policy_rules.number = ${number}`,
  );
  if (row === undefined)
    throw new AppError('not_found', `there is no rule ${number}; list them with \`mission policy list\``);
  return presentRule(row);
}

/** What an agent may do is never an agent's to say, whatever its key holds. */
function requireChanger(actor: Actor): void {
  requirePermission(actor, 'policy:manage');
  if (actor.role === 'agent') throw new AppError('forbidden', 'An agent never changes the policy.');
}

/** Changes of the policy come one after the other, so that versions and numbers are dense. */
async function nextVersion(transaction: Transaction, by: string, why: string): Promise<number> {
  await transaction.many(sql`LOCK TABLE policy_versions IN SHARE ROW EXCLUSIVE MODE`);
  const { version } = await transaction.one<{ version: number }>(
    sql`INSERT INTO policy_versions (version, by, why)
        SELECT coalesce(max(version), 0) + 1, ${by}, ${why} FROM policy_versions RETURNING version`,
  );
  return version;
}

async function resolveScope(
  database: Queryable,
  scope: RuleScope,
): Promise<{ agentId: string | null; projectId: string | null; role: string | null; runId: string | null }> {
  const known = await database.one<{
    agentId: string | null;
    projectId: string | null;
    runId: string | null;
  }>(
    sql`SELECT (SELECT id FROM agents WHERE id = ${scope.agent ?? null} OR name = ${scope.agent ?? null} LIMIT 1) AS "agentId",
          (SELECT id FROM projects WHERE id = ${scope.project ?? null} OR name = ${scope.project ?? null}
            OR location = ${scope.project ?? null} ORDER BY (id = ${scope.project ?? null}) DESC LIMIT 1) AS "projectId",
          (SELECT id FROM runs WHERE id = ${scope.run ?? null}) AS "runId"`,
  );
  const missing =
    (scope.agent !== undefined && known.agentId === null && `agent ${scope.agent}`) ||
    (scope.project !== undefined && known.projectId === null && `project ${scope.project}`) ||
    (scope.run !== undefined && known.runId === null && `run ${scope.run}`);
  if (missing) throw new AppError('not_found', `there is no ${missing}`);
  return { ...known, role: scope.role ?? null };
}

/** Who would be judged, for a test of the policy. @throws AppError not_found */
export async function findJudged(
  database: Queryable,
  agent: string,
  project: string | null,
): Promise<{
  agentId: string;
  agent: string;
  agentRole: string;
  projectId: string | null;
  policy: PolicyRule[];
}> {
  const { agentId, projectId } = await resolveScope(database, {
    agent,
    ...(project === null ? {} : { project }),
  });
  const found = await database.one<{ name: string; role: string; policy: PolicyRule[] }>(
    sql`SELECT name, role, policy FROM agents WHERE id = ${agentId}`,
  );
  return {
    agentId: agentId ?? '',
    agent: found.name,
    agentRole: found.role,
    projectId,
    policy: found.policy,
  };
}
