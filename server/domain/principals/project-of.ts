import type { Queryable } from '../../database/database.ts';
import { type Sql, sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { type Actor, visibleTo } from '../actor.ts';

export type ProjectThing = 'artifact' | 'ask' | 'change' | 'project' | 'run' | 'task';

const project = sql`SELECT 1 FROM tasks WHERE`;

/**
 * What is of a project that the actor does not see is as if it were not there.
 * @throws AppError not_found, for what there is not as well
 */
export async function requireVisible(
  database: Queryable,
  actor: Actor,
  thing: ProjectThing,
  id: string,
): Promise<void> {
  if (actor.projects === null) return;
  const found = await database.maybe(seen(thing, id, visibleTo(actor, column(thing))));
  if (found === undefined) throw new AppError('not_found', `there is no ${thing} ${id}`);
}

const column = (thing: ProjectThing): Sql => (thing === 'project' ? sql`projects.id` : sql`tasks.project_id`);

function seen(thing: ProjectThing, id: string, visible: Sql): Sql {
  switch (thing) {
    case 'project':
      return sql`SELECT 1 FROM projects WHERE id = ${id} AND ${visible}`;
    case 'task':
      return sql`${project} tasks.id = ${id} AND ${visible}`;
    case 'run':
      return sql`${project} tasks.id = (SELECT task_id FROM runs WHERE runs.id = ${id}) AND ${visible}`;
    case 'ask':
      return sql`${project} tasks.id = (SELECT task_id FROM asks WHERE asks.id = ${id}) AND ${visible}`;
    case 'change':
      return sql`${project} tasks.id = (SELECT task_id FROM changes WHERE changes.id = ${id}) AND ${visible}`;
    case 'artifact':
      return sql`${project} tasks.id IN (
          SELECT coalesce(artifacts.task_id, runs.task_id) FROM artifacts
            LEFT JOIN runs ON runs.id = artifacts.run_id WHERE artifacts.id = ${id}
          UNION ALL SELECT task_id FROM task_attachments WHERE artifact_id = ${id}) AND ${visible}`;
  }
}
