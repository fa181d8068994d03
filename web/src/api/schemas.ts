import { z } from 'zod';
import { askView } from '../../../contract/asks.ts';
import { changeView } from '../../../contract/changes.ts';
import { runView } from '../../../contract/runs.ts';
import { type Step, stepKinds, stepStatuses, usage } from '../../../contract/steps.ts';
import { taskView } from '../../../contract/tasks.ts';

const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });

/** The envelope of a step; what its kind puts inside was checked by the server that wrote it. */
const stepEnvelope = z.object({
  runId: z.string(),
  seq: z.number().int().positive(),
  kind: z.enum(stepKinds),
  name: z.string(),
  status: z.enum(stepStatuses),
  intent: z.record(z.string(), z.unknown()),
  result: z.record(z.string(), z.unknown()).nullable(),
  error: z.object({ class: z.string(), message: z.string() }).nullable(),
  usage: usage.nullable(),
  costMicros: z.number().nullable(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
});

export const stepList = listOf(
  z.custom<Step>((value) => stepEnvelope.safeParse(value).success, { error: 'is no step' }),
);
export const runList = listOf(runView);
export const taskList = listOf(taskView);
export const askList = listOf(askView);
export const changeList = listOf(changeView);

export const changeAndRun = z.object({ change: changeView, run: runView });
export const nothing = z.unknown();
