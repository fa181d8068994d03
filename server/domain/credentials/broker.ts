import type { GrantScope } from '../../../contract/credentials.ts';
import type { EgressRule } from '../../../contract/egress.ts';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { sealName } from './brokered.ts';
import type { Vault } from './vault.ts';

/** Whose commands they are, and under which lease. */
export interface EgressHolder {
  runId: string;
  token: number;
  agentId: string;
  projectId: string;
}

export interface BrokeredGrant {
  name: string;
  host: string;
  port: number;
  insecure: boolean;
  scope: GrantScope;
}

/** What holds for a run's commands at this moment. */
export interface EgressState {
  /** Whether this holder still has the run's lease. */
  held: boolean;
  lists: { presets: string[]; rules: EgressRule[] }[];
  grants: BrokeredGrant[];
}

/** One statement: lease, lists and grants are of one moment. */
export async function readEgressState(database: Database, holder: EgressHolder): Promise<EgressState> {
  const { runId, token, agentId, projectId } = holder;
  return database.one<EgressState>(
    sql`SELECT EXISTS (SELECT FROM runs WHERE id = ${runId} AND lease_token = ${token} AND worker_id IS NOT NULL) AS held,
          (SELECT coalesce(jsonb_agg(jsonb_build_object('presets', presets, 'rules', rules)), '[]') FROM egress_lists
           WHERE (scope, scope_id) IN (('agent', ${agentId}::text), ('project', ${projectId}::text))) AS lists,
          (SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'host', host, 'port', port,
             'insecure', insecure, 'scope', credential_grants.scope) ORDER BY name), '[]')
           FROM credential_grants JOIN brokered_credentials ON name = credential
           WHERE agent_id = ${agentId} AND (expires_at IS NULL OR expires_at > now())) AS grants`,
  );
}

export interface FilledCredential {
  name: string;
  value: string;
  /** In every form that the header holds: what must not be shown. */
  secrets: string[];
}

/**
 * The header with its secret, for one call. Lease and grant are looked at in the statement that reads it; a secret is
 * never kept between calls, so that a rotation or a revocation holds from the next one on.
 * @returns null where they no longer hold
 */
export async function fillCredential(
  { database, vault }: { database: Database; vault: Vault },
  holder: EgressHolder,
  name: string,
): Promise<FilledCredential | null> {
  const [row] = await database.write<{ header: string; sealed: Buffer; keyId: string }>(
    'credentials.use',
    sql`UPDATE brokered_credentials SET last_used_at = now()
        FROM credential_grants, runs
        WHERE name = ${name} AND credential = name AND credential_grants.agent_id = ${holder.agentId}
          AND (expires_at IS NULL OR expires_at > now())
          AND runs.id = ${holder.runId} AND runs.agent_id = ${holder.agentId}
          AND lease_token = ${holder.token} AND worker_id IS NOT NULL
        RETURNING header, sealed, key_id AS "keyId"`,
  );
  if (row === undefined) return null;
  return fillHeader(row.header, vault.open(sealName(name), row));
}

export function fillHeader(template: string, secret: string): FilledCredential {
  const colon = template.indexOf(': ');
  const user = template.match(/\{basic ([^}]*)\}/)?.[1];
  const inserted = user === undefined ? secret : Buffer.from(`${user}:${secret}`).toString('base64');
  const value = template.slice(colon + 2).replace(/\{(?:basic [^}]*)?\}/, () => inserted);
  return { name: template.slice(0, colon), value, secrets: [...new Set([secret, inserted])] };
}
