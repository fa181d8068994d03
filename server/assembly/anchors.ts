import { join } from 'node:path';
import type { Finding } from '../../contract/system.ts';
import { systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { ChainAnchors } from '../events/anchors.ts';
import type { Base } from './base.ts';

/** Before whatever writes events, so that at the stop it writes down their last one. */
export async function openAnchors(
  config: Config,
  base: Base & { database: Database },
): Promise<ChainAnchors> {
  const { database, log, started } = base;
  const file = join(config.home, 'audit-anchor');
  const anchors = started.use(new ChainAnchors({ database, clock: systemClock, log, file }));
  if (config.roles.includes('api')) await anchors.start();
  return anchors;
}

/** Whether the log still has the newest place that was written down outside of the database. */
export async function diagnoseLog(anchors: ChainAnchors): Promise<Finding> {
  const name = 'log';
  const fault = await anchors.findFault();
  if (fault !== null) return { name, state: 'failed', detail: fault, mend: 'mission audit verify' };
  return { name, state: 'ok', detail: 'fits what was written down outside of the database', mend: null };
}
