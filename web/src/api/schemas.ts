import { z } from 'zod';
import { askView } from '../../../contract/asks.ts';
import { changeView } from '../../../contract/changes.ts';
import { runView } from '../../../contract/runs.ts';
import { readStep } from '../../../contract/steps.ts';
import { taskView } from '../../../contract/tasks.ts';

const listOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) });

export const stepList = listOf(readStep);
export const runList = listOf(runView);
export const taskList = listOf(taskView);
export const askList = listOf(askView);
export const changeList = listOf(changeView);

export const changeAndRun = z.object({ change: changeView, run: runView });
export const nothing = z.unknown();
