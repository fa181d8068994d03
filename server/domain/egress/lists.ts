import type { EgressListView, EgressScope, PutEgressBody } from '../../../contract/egress.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { json, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';

interface Owner {
  id: string;
  name: string;
}

/** Every list that says something, and which agent or project it is of. */
export async function listEgress(database: Queryable): Promise<EgressListView[]> {
  return database.many<EgressListView>(
    sql`SELECT egress_lists.scope, coalesce(agents.name, projects.name, scope_id) AS name, presets, rules,
          egress_lists.updated_by AS "updatedBy", egress_lists.updated_at AS "updatedAt"
        FROM egress_lists
          LEFT JOIN agents ON egress_lists.scope = 'agent' AND agents.id = scope_id
          LEFT JOIN projects ON egress_lists.scope = 'project' AND projects.id = scope_id
        ORDER BY 1, 2`,
  );
}

/** An empty list where none was said: nothing is reached. @throws AppError not_found */
export async function getEgress(
  database: Queryable,
  scope: EgressScope,
  name: string,
): Promise<EgressListView> {
  const owner = await requireOwner(database, scope, name);
  const row = await database.maybe<Omit<EgressListView, 'scope' | 'name'>>(
    sql`SELECT presets, rules, updated_by AS "updatedBy", updated_at AS "updatedAt"
        FROM egress_lists WHERE scope = ${scope} AND scope_id = ${owner.id}`,
  );
  const none = { presets: [], rules: [], updatedBy: null, updatedAt: null };
  return { scope, name: owner.name, ...(row ?? none) };
}

/** Holds from the next request on, also of runs under way. @throws AppError not_found */
export async function putEgress(
  database: Database,
  actor: Actor,
  target: { scope: EgressScope; name: string },
  { presets, rules }: PutEgressBody,
): Promise<EgressListView> {
  const { scope, name } = target;
  return database.transaction('egress.put', async (transaction) => {
    const owner = await requireOwner(transaction, scope, name);
    await transaction.many(
      sql`INSERT INTO egress_lists (scope, scope_id, presets, rules, updated_by)
          VALUES (${scope}, ${owner.id}, ${json(presets)}, ${json(rules)}, ${actor.name})
          ON CONFLICT (scope, scope_id) DO UPDATE SET presets = excluded.presets, rules = excluded.rules,
            updated_by = excluded.updated_by, updated_at = now()`,
    );
    await appendEvents(transaction, [
      {
        type: 'egress.changed',
        entityType: 'egress',
        entityId: `${scope}:${owner.id}`,
        actor: actor.name,
        data: { scope, name: owner.name, presets, hosts: rules.map(({ host }) => host) },
      },
    ]);
    return getEgress(transaction, scope, owner.id);
  });
}

async function requireOwner(database: Queryable, scope: EgressScope, name: string): Promise<Owner> {
  const rows =
    scope === 'agent'
      ? await database.many<Owner>(sql`SELECT id, name FROM agents WHERE id = ${name} OR name = ${name}`)
      : await database.many<Owner>(
          sql`SELECT id, name FROM projects WHERE archived_at IS NULL AND (id = ${name} OR name = ${name})`,
        );
  const [owner] = rows;
  if (owner === undefined) throw new AppError('not_found', `There is no ${scope} ${name}.`);
  if (rows.length > 1) {
    throw new AppError(
      'conflict',
      `Several projects are named ${name}: give the identifier, one of ${rows.map(({ id }) => id).join(', ')}.`,
    );
  }
  return owner;
}
