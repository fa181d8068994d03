import { systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { openReadiness } from '../domain/status/readiness.ts';
import { listen } from '../http/listen.ts';
import { buildProbeServer } from '../http/probes.ts';
import { readVersion } from '../http/version.ts';
import type { Base } from './base.ts';
import { openEdge } from './edge.ts';
import type { Telemetry } from './telemetry.ts';

const host = '127.0.0.1';

/** Lets a process without the API be watched, where its setting names a port. It answers until its runs rest. */
export async function startProbes(
  config: Config,
  base: Base & { database: Database; telemetry: Telemetry; schema: number },
): Promise<void> {
  const { metricsPort: port, metricsToken } = config.telemetry;
  if (port === null) return;
  const { database, log, telemetry, schema, started } = base;
  // Nobody comes here but over loopback, whatever the API's own address is.
  const local = { ...config, host, publicUrl: null, tls: null, trustedProxies: [] };
  const server = buildProbeServer({
    ...(await openEdge(local, base)),
    ...telemetry,
    metricsToken,
    database,
    log,
    examine: openReadiness(database, schema, () => systemClock.monotonic()),
    version: readVersion(),
  });
  started.defer(() => server.close());
  const url = await listen(server, { host, port, tls: null }, 'MISSION_METRICS_PORT');
  log.info({ url }, 'measurements are served');
}
