import { AppError } from '../../errors.ts';
import { may } from '../access.ts';
import type { HttpParts, Routes } from '../parts.ts';

export function backupRoutes(routes: Routes, parts: HttpParts): void {
  routes.get(
    '/backup',
    { config: { ...may('system:manage'), produces: { 200: 'application/gzip' } } },
    async (request, reply) => {
      if (request.actor.role !== 'admin') throw new AppError('forbidden', 'only admins take backups');
      return reply
        .header('content-type', 'application/gzip')
        .header('content-disposition', 'attachment; filename="mission-control.backup"')
        .header('cache-control', 'no-store')
        .send(parts.openBackup(parts.stopping));
    },
  );
}
