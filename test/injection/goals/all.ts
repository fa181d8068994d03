import type { Goal } from '../goal.ts';
import { authority } from './authority.ts';
import { exfiltration } from './exfiltration.ts';
import { reach } from './reach.ts';

export const goals: readonly Goal[] = [...exfiltration, ...reach, ...authority];
