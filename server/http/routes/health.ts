import { z } from 'zod';
import { readyView, versionView } from '../../../contract/system.ts';
import { AppError } from '../../errors.ts';
import { may } from '../access.ts';
import type { HttpParts, Routes } from '../parts.ts';

/** What probes ask, without a key: whether the process lives, whether work goes on, and which release it is. */
export function healthRoutes(routes: Routes, parts: Pick<HttpParts, 'examine' | 'version'>): void {
  routes.get(
    '/health',
    { config: may('open'), schema: { response: { 200: z.object({ status: z.literal('ok') }) } } },
    async () => ({ status: 'ok' as const }),
  );

  routes.get('/ready', { config: may('open'), schema: { response: { 200: readyView } } }, async () => {
    const findings = await parts.examine();
    const failed = findings.filter(({ state }) => state === 'failed');
    if (failed.length === 0) return { status: 'ready' as const, findings };
    const reasons = failed.map(
      ({ name, detail, mend }) => `${name}: ${detail}${mend === null ? '' : ` (${mend})`}`,
    );
    throw new AppError('not_ready', `Work does not go on. ${reasons.join('; ')}`);
  });

  routes.get('/version', { config: may('open'), schema: { response: { 200: versionView } } }, async () => ({
    version: parts.version,
    node: process.versions.node,
  }));
}
