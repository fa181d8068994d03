import { z } from 'zod';
import type { Tool } from './tool.ts';

const askInput = z.strictObject({
  question: z.string().trim().min(1).max(10_000),
  options: z.array(z.string().trim().min(1).max(500)).max(10).optional().describe('Answers to choose from.'),
});

export const askHuman: Tool<z.infer<typeof askInput>> = {
  name: 'ask_human',
  description:
    'Asks a person and waits for the answer. Only for what you cannot find out or decide yourself: the wait may be long.',
  input: askInput,
  effect: 'read',
  subject: () => '',
  run: async ({ question, options = [] }) => ({ kind: 'ask', question, options }),
};

const noteInput = z.strictObject({ text: z.string().trim().min(1).max(10_000) });

export const note: Tool<z.infer<typeof noteInput>> = {
  name: 'note',
  description: 'Writes a note into the record of the run: a finding or a decision that should not be lost.',
  input: noteInput,
  effect: 'read',
  subject: () => '',
  run: async ({ text }) => ({ kind: 'note', text }),
};

const finishInput = z.strictObject({
  summary: z.string().trim().min(1).max(20_000).describe('What this phase found or did.'),
  title: z.string().trim().min(1).max(200).optional().describe('In the last phase: the title of the change.'),
  description: z
    .string()
    .trim()
    .max(20_000)
    .optional()
    .describe('In the last phase: what the change does, and why, for its reviewer.'),
});

export const finishPhase: Tool<z.infer<typeof finishInput>> = {
  name: 'finish_phase',
  description: 'Ends the present phase of the work and goes on to the next.',
  input: finishInput,
  effect: 'read',
  subject: () => '',
  run: async ({ summary, title = null, description = null }) => ({
    kind: 'finish_phase',
    summary,
    title,
    description,
  }),
};
