import { join } from 'node:path';
import { openContainerSandbox } from '../../server/computers/container/container-sandbox.ts';
import type { Sandbox } from '../../server/computers/sandbox.ts';
import { log } from '../measure/store.ts';

/** Our driver `container`. @returns why not, where no engine or image is named */
export async function openContainers(folder: string): Promise<(Sandbox & AsyncDisposable) | string> {
  const image = process.env.MISSION_SANDBOX_IMAGE;
  if (!image) return 'containers (MISSION_SANDBOX_IMAGE names no image, such as node:24-bookworm)';
  const engine = process.env.DOCKER_HOST?.replace(/^unix:\/\//, '') ?? null;
  const sandbox = await openContainerSandbox({
    log,
    runtimeFolder: join(folder, 'runtime-container'),
    settings: { engine, image },
  });
  const finding = await sandbox.diagnose?.();
  return finding?.state === 'failed' ? `containers (${finding.detail})` : sandbox;
}
