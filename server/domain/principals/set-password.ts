import type { SetPasswordBody } from '../../../contract/principals.ts';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { AppError } from '../../errors.ts';
import { appendEvents } from '../../events/append.ts';
import type { Actor } from '../actor.ts';
import { getPrincipal } from './change-principals.ts';
import { hashPassword, isPassword } from './password.ts';
import { requireNoMore, rightsOf } from './rights.ts';
import { endSessions } from './sessions.ts';

/**
 * Sets a password, one's own or with `principals:manage` another's, and ends the principal's other sessions. A
 * session gives its present one, so that a page left open is not enough.
 * @throws AppError not_found, forbidden, unprocessable
 */
export async function setPassword(
  database: Database,
  actor: Actor,
  idOrName: string,
  body: SetPasswordBody,
): Promise<void> {
  const own = idOrName === actor.id || idOrName === actor.name;
  if (!own && !actor.permissions.includes('principals:manage'))
    throw new AppError('not_found', `there is no principal ${idOrName} whose password you may set`);
  const principal = await getPrincipal(database, actor, idOrName);
  requireNoMore(actor, rightsOf(principal.role, principal.projects));
  if (principal.kind !== 'human')
    throw new AppError('unprocessable', `${principal.name} is no person: services and agents have keys`);
  const { password: kept } = await database.one<{ password: string | null }>(
    sql`SELECT password FROM principals WHERE id = ${principal.id}`,
  );
  if (own && actor.sessionId !== null && kept !== null && !(await isPassword(body.current ?? '', kept)))
    throw new AppError('forbidden', 'The present password is wrong: send it as `current`.');
  const hash = await hashPassword(body.password);
  await database.transaction('principals.password', async (transaction) => {
    const changed = await transaction.maybe(
      sql`UPDATE principals SET password = ${hash}, updated_at = now()
          WHERE id = ${principal.id} AND password IS NOT DISTINCT FROM ${kept} RETURNING id`,
    );
    if (changed === undefined)
      throw new AppError('conflict', 'The password was changed by somebody else just now; look again.');
    const except = own ? actor.sessionId : null;
    await endSessions(transaction, { principalId: principal.id, except, actor: actor.name });
    await appendEvents(transaction, [
      {
        type: 'principal.updated',
        entityType: 'principal',
        entityId: principal.id,
        actor: actor.name,
        data: { name: principal.name, password: 'changed' },
      },
    ]);
  });
}
