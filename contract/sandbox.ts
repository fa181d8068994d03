import { z } from 'zod';

/** `local` by bubblewrap; `container` by Docker on this machine. */
export const sandboxDrivers = ['local', 'container'] as const;

/** Where commands run, as `mission.config.json` says it; the environment outranks it. */
export const sandboxSettings = z
  .strictObject({
    driver: z.enum(sandboxDrivers).optional(),
    /** For containers; as the engine knows it, best with its digest: `node:24-bookworm@sha256:…`. */
    image: z.string().min(1).optional(),
    /** The socket of the engine's API; the usual places of Docker where it is not given. */
    socket: z.string().startsWith('/', 'must be an absolute path').optional(),
  })
  .optional();

export interface SandboxSettings {
  driver: (typeof sandboxDrivers)[number];
  image: string | null;
  /** The socket of the engine's API, or the foreign address that DOCKER_HOST gives; null for the usual places. */
  engine: string | null;
}

export function chooseSandbox(
  environment: {
    MISSION_SANDBOX?: SandboxSettings['driver'] | undefined;
    MISSION_SANDBOX_IMAGE?: string | undefined;
    DOCKER_HOST?: string | undefined;
  },
  file: z.infer<typeof sandboxSettings>,
): SandboxSettings {
  return {
    driver: environment.MISSION_SANDBOX ?? file?.driver ?? 'local',
    image: environment.MISSION_SANDBOX_IMAGE ?? file?.image ?? null,
    engine: environment.DOCKER_HOST?.replace(/^unix:\/\//, '') ?? file?.socket ?? null,
  };
}
