import { z } from 'zod';

const block = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('image'), source: z.object({ media_type: z.string(), data: z.base64() }) }),
  z.object({
    type: z.literal('tool_use'),
    id: z.string(),
    name: z.string(),
    input: z.record(z.string(), z.unknown()),
  }),
  z.object({
    type: z.literal('tool_result'),
    tool_use_id: z.string(),
    is_error: z.boolean().optional(),
    content: z
      .union([z.string(), z.array(z.object({ type: z.literal('text'), text: z.string() }))])
      .optional(),
  }),
]);
const content = z.union([
  z.string().transform((text) => [{ type: 'text' as const, text }]),
  z.array(block).min(1),
]);

/** The body of a request in Anthropic's Messages protocol, as far as a replay reads it. */
export const wireRequest = z
  .object({
    model: z.string(),
    max_tokens: z.number().int().positive(),
    stream: z.literal(true),
    system: content.optional(),
    messages: z.array(z.object({ role: z.enum(['user', 'assistant']), content })).min(1),
    tools: z
      .array(z.object({ name: z.string(), description: z.string().optional(), input_schema: z.unknown() }))
      .optional(),
  })
  .superRefine((request, context) => {
    for (const message of findRefusals(request.messages)) context.addIssue({ code: 'custom', message });
  });
export type WireRequest = z.infer<typeof wireRequest>;
export type WireBlock = z.infer<typeof block>;
export type WireMessage = WireRequest['messages'][number];

/** What the real service answers with 400: a replay that took it would hide a request that fails in earnest. */
function findRefusals(messages: { role: string; content: WireBlock[] }[]): string[] {
  const refusals: string[] = [];
  if (messages[0]?.role !== 'user') refusals.push('messages: first message must use the "user" role');
  if (messages.at(-1)?.role !== 'user')
    refusals.push('messages: the conversation must end with a user message');
  const seen = new Set<string>();
  messages.forEach(({ role, content }, at) => {
    if (role === messages[at - 1]?.role) refusals.push(`messages.${at}: roles must alternate`);
    const asked = callsIn(messages[at - 1]?.content);
    const answered = resultsIn(content);
    if (asked.some((id) => !answered.includes(id))) {
      refusals.push(`messages.${at}: tool_use ids were found without tool_result blocks immediately after`);
    }
    if (answered.some((id) => !asked.includes(id))) {
      refusals.push(`messages.${at}: unexpected tool_use_id found in tool_result blocks`);
    }
    if (content.findLastIndex((part) => part.type === 'tool_result') >= answered.length) {
      refusals.push(`messages.${at}: tool_result blocks must come first`);
    }
    for (const id of callsIn(content)) {
      if (seen.has(id)) refusals.push(`messages.${at}: tool_use ids must be unique`);
      seen.add(id);
    }
    if (content.some((part) => part.type === 'text' && part.text.trim() === '')) {
      refusals.push(`messages.${at}: text content blocks must contain non-whitespace text`);
    }
  });
  return refusals;
}

function callsIn(blocks: WireBlock[] = []): string[] {
  return blocks.flatMap((part) => (part.type === 'tool_use' ? [part.id] : []));
}

function resultsIn(blocks: WireBlock[]): string[] {
  return blocks.flatMap((part) => (part.type === 'tool_result' ? [part.tool_use_id] : []));
}

/** Every text in the blocks that a person would search: prose, results, names and arguments of calls. */
export function textOf(blocks: WireBlock[]): string {
  return blocks.flatMap(textsOf).join('\n');
}

function textsOf(part: WireBlock): string[] {
  if (part.type === 'text') return [part.text];
  if (part.type === 'image') return [];
  if (part.type === 'tool_use') return [part.name, ...stringsIn(part.input)];
  if (typeof part.content === 'string') return [part.content];
  return (part.content ?? []).map(({ text }) => text);
}

function stringsIn(value: unknown): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(stringsIn);
  return [String(value)];
}
