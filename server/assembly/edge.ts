import { systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { ensureCookieKey } from '../domain/principals/signing-key.ts';
import { Certificate } from '../http/certificate.ts';
import { Connections } from '../http/connections.ts';
import { Edge } from '../http/edge.ts';
import type { HttpParts } from '../http/parts.ts';
import { RateLimits } from '../http/rate-limits.ts';
import type { Base } from './base.ts';

/** The open answers of this process. */
export function openConnections(
  config: Config,
  { database, log, started }: Base & { database: Database },
): Connections {
  const { connections: total, connectionsPerPrincipal: perPrincipal } = config.http;
  return started.use(new Connections({ database, log, limits: { total, perPrincipal } }));
}

/** Who may reach the API, over what, and how much of it. */
export async function openEdge(
  config: Config,
  { database, log, started }: Base & { database: Database },
): Promise<Pick<HttpParts, 'edge' | 'certificate' | 'limits' | 'cookieKey'>> {
  const { requestsPerSecond } = config.http;
  return {
    edge: new Edge(config),
    certificate: config.tls === null ? null : started.use(new Certificate(config.tls, log)),
    limits: new RateLimits({ requestsPerSecond, now: () => systemClock.monotonic() }),
    cookieKey: await ensureCookieKey(database),
  };
}
