import { z } from 'zod';
import { type Step, stepKinds, stepStatuses } from '../contract/steps.ts';
import type { Client } from './client.ts';

const envelope = z.object({
  runId: z.string(),
  seq: z.number(),
  kind: z.enum(stepKinds),
  name: z.string(),
  status: z.enum(stepStatuses),
  intent: z.record(z.string(), z.unknown()),
  startedAt: z.string(),
});

/** The contract gives steps as types alone; what every view leans on is looked at here. */
const step = z.custom<Step>((value) => envelope.safeParse(value).success, 'expected a step');

/** All steps of a run after a number, in order. */
export async function readSteps(
  client: Client,
  run: string,
  after: number,
  signal?: AbortSignal,
): Promise<Step[]> {
  const steps: Step[] = [];
  for (let last = after; ; ) {
    const page = await client.list(`/runs/${run}/steps?after=${last}`, step, signal);
    const fresh = page.filter(({ seq }) => seq > last);
    const end = fresh.at(-1);
    if (end === undefined) return steps;
    steps.push(...fresh);
    last = end.seq;
    // A short page is the last one, whatever the size of the server's pages.
    if (page.length < 50) return steps;
  }
}
