import type { Mount } from '../sandbox.ts';

/** What git needs inside the sandbox to reach an address. */
export interface Transport {
  mounts: Mount[];
  env: Record<string, string>;
}

export async function openTransport(_location: string): Promise<Transport> {
  return { mounts: [], env: {} };
}
