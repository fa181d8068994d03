import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** Strangers hold a connection open no longer than a body takes to come. */
const mostBodyMs = 10_000;

/** Closes the connection of a request whose body has not come within ten seconds. */
export function closeSlowBodies(server: Pick<FastifyInstance, 'addHook'>): void {
  server.addHook('onRequest', async ({ raw }) => closeIfSlow(raw));
}

function closeIfSlow(request: IncomingMessage): void {
  const timer = setTimeout(() => request.destroy(), mostBodyMs);
  const clear = () => clearTimeout(timer);
  request.once('end', clear).once('close', clear);
}
