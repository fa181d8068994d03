import { join } from 'node:path';
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
