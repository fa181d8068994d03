import { z } from 'zod';

/** `http` in mission.config.json: how much one server takes from outside. */
export const httpSettings = z
  .strictObject({
    /** Of one principal, all its keys and sessions together; twice as many at once. */
    requestsPerSecond: z.number().int().min(1).max(1_000_000).default(1_000),
    /** Open streams and sockets of one process. */
    connections: z.number().int().min(1).max(1_000_000).default(10_000),
    connectionsPerPrincipal: z.number().int().min(1).max(1_000_000).default(2_000),
  })
  .prefault({});
export type HttpSettings = z.infer<typeof httpSettings>;

/** Addresses and CIDRs with commas between them, such as `10.0.0.7,172.16.0.0/12`. */
export const trustedProxies = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  )
  .pipe(
    z.array(
      z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
        error: 'takes addresses and CIDRs, such as 10.0.0.7,172.16.0.0/12',
      }),
    ),
  );
