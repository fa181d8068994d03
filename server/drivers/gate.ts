import { takeOver } from '../computers/gate.ts';
import type { Computer } from './parts.ts';

const limitMs = 15_000;

/**
 * Before anything of a run is started here: whatever an earlier holder still runs is ended, and nothing of it
 * can start any more.
 * @throws GateClosed where a newer holder was quicker
 */
export async function closeGateBehind(
  computer: Computer,
  run: { runId: string; token: number },
): Promise<void> {
  const { sandbox } = computer;
  await takeOver(computer.gateFolder(run.runId), String(run.token), { limitMs, sandbox });
}
