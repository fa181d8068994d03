import type { ProjectTrust } from '../../../contract/limits.ts';
import type { Database, Queryable } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';

/** @throws AppError not_found */
export async function readProjectTrust(database: Queryable, projectId: string): Promise<ProjectTrust> {
  const trust = await database.maybe<ProjectTrust>(
    sql`SELECT private, untrusted FROM projects WHERE id = ${projectId}`,
  );
  if (trust === undefined) throw new AppError('not_found', `there is no project ${projectId}`);
  return trust;
}

/** How what is read of the project is taken, from the next run on. @throws AppError not_found */
export async function setProjectTrust(
  database: Database,
  actor: Actor,
  projectId: string,
  trust: ProjectTrust,
): Promise<ProjectTrust> {
  return database.transaction('projects.trust', async (transaction) => {
    await readProjectTrust(transaction, projectId);
    await transaction.many(
      sql`UPDATE projects SET private = ${trust.private}, untrusted = ${trust.untrusted} WHERE id = ${projectId}`,
    );
    await appendEvents(transaction, [
      {
        type: 'project.trusted',
        entityType: 'project',
        entityId: projectId,
        actor: actor.name,
        data: { ...trust },
      },
    ]);
    return trust;
  });
}
