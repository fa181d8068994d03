import type { FastifyInstance } from 'fastify';
import { AppError, messageOf } from '../errors.ts';

/** @param setting chooses the port. @returns the address. @throws AppError port_taken, and internal where the host cannot be listened on */
export async function listen(
  server: FastifyInstance,
  config: { host: string; port: number; tls: object | null },
  setting = 'MISSION_PORT',
): Promise<string> {
  try {
    const url = await server.listen({ host: config.host, port: config.port });
    // The framework does not know what a server made by us speaks.
    return config.tls === null ? url : url.replace(/^http:/, 'https:');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new AppError(
        'port_taken',
        `port ${config.port} on ${config.host} is taken by another program: end it, or choose a port with ${setting}`,
        { cause: error },
      );
    }
    throw new AppError(
      'internal',
      `the server cannot listen on ${config.host}:${config.port}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
