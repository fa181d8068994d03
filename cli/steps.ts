import { readStep, type Step } from '../contract/steps.ts';
import type { Client } from './client.ts';

/** All steps of a run after a number, in order. */
export async function readSteps(
  client: Client,
  run: string,
  after: number,
  signal?: AbortSignal,
): Promise<Step[]> {
  const steps: Step[] = [];
  for (let last = after; ; ) {
    const page = await client.list(`/runs/${run}/steps?after=${last}`, readStep, signal);
    const fresh = page.filter(({ seq }) => seq > last);
    const end = fresh.at(-1);
    if (end === undefined) return steps;
    steps.push(...fresh);
    last = end.seq;
    // A short page is the last one, whatever the size of the server's pages.
    if (page.length < 50) return steps;
  }
}
