import type {
  LanguageModelV4Message,
  LanguageModelV4StreamPart,
  SharedV4ProviderMetadata,
} from '@ai-sdk/provider';
import { z } from 'zod';

/*
 * Some providers give more than text and calls: reasoning with its signature, identifiers of items. They
 * want it back, in its order and unchanged, with the answer it belongs to. It is kept as the order of the
 * answer's parts; text and arguments stay where they are in the answer and are only counted here.
 */

type AssistantParts = Extract<LanguageModelV4Message, { role: 'assistant' }>['content'];
type CallPart = Extract<AssistantParts[number], { type: 'tool-call' }>;

const options = z.record(z.string(), z.record(z.string(), z.json())).optional();
const statePart = z.discriminatedUnion('type', [
  z.object({ type: z.literal('reasoning'), text: z.string(), options }),
  z.object({ type: z.literal('text'), length: z.number(), options }),
  z.object({ type: z.literal('tool-call'), options }),
]);
const answerState = z.object({ parts: z.array(statePart) });
type StatePart = z.infer<typeof statePart>;

/** Gathers an answer's state from the parts of its stream. */
export function openStateCollector() {
  const parts: StatePart[] = [];
  const open = new Map<string, StatePart>();
  const begin = (id: string, part: StatePart, metadata: SharedV4ProviderMetadata | undefined) => {
    parts.push(part);
    open.set(id, part);
    addOptions(part, metadata);
  };
  return {
    see(part: LanguageModelV4StreamPart): void {
      switch (part.type) {
        case 'text-start':
          begin(`text ${part.id}`, { type: 'text', length: 0 }, part.providerMetadata);
          break;
        case 'reasoning-start':
          begin(`reasoning ${part.id}`, { type: 'reasoning', text: '' }, part.providerMetadata);
          break;
        case 'text-delta': {
          const known = open.get(`text ${part.id}`);
          if (known?.type === 'text') known.length += part.delta.length;
          addOptions(known, part.providerMetadata);
          break;
        }
        case 'reasoning-delta': {
          const known = open.get(`reasoning ${part.id}`);
          if (known?.type === 'reasoning') known.text += part.delta;
          addOptions(known, part.providerMetadata);
          break;
        }
        case 'text-end':
          addOptions(open.get(`text ${part.id}`), part.providerMetadata);
          break;
        case 'reasoning-end':
          addOptions(open.get(`reasoning ${part.id}`), part.providerMetadata);
          break;
        case 'tool-call': {
          const call: StatePart = { type: 'tool-call' };
          addOptions(call, part.providerMetadata);
          parts.push(call);
          break;
        }
        default:
          break;
      }
    },
    /** Undefined where text and calls say it all. */
    state(): z.infer<typeof answerState> | undefined {
      const plain = parts.every((part) => part.type !== 'reasoning' && part.options === undefined);
      return plain ? undefined : { parts };
    },
  };
}

function addOptions(part: StatePart | undefined, metadata: SharedV4ProviderMetadata | undefined): void {
  if (part === undefined || metadata === undefined) return;
  for (const [provider, values] of Object.entries(metadata)) {
    // What is undefined or not JSON would not survive the journal.
    const known = z.record(z.string(), z.json()).safeParse(JSON.parse(JSON.stringify(values)));
    if (!known.success || Object.keys(known.data).length === 0) continue;
    part.options = { ...part.options, [provider]: { ...part.options?.[provider], ...known.data } };
  }
}

/** The answer's content with its state in place; undefined where the two do not belong together. */
export function restoreParts(
  state: unknown,
  answer: { text: string; calls: CallPart[] },
): AssistantParts | undefined {
  const parsed = answerState.safeParse(state);
  if (!parsed.success || !fits(parsed.data.parts, answer)) return undefined;
  const content: AssistantParts = [];
  const calls = [...answer.calls];
  let at = 0;
  for (const part of parsed.data.parts) {
    const own = part.options === undefined ? {} : { providerOptions: part.options };
    if (part.type === 'reasoning') content.push({ type: 'reasoning', text: part.text, ...own });
    else if (part.type === 'tool-call')
      content.push(...calls.splice(0, 1).map((call) => ({ ...call, ...own })));
    else {
      const text = answer.text.slice(at, at + part.length);
      at += part.length;
      // Providers refuse blank text, unless it carries something of theirs.
      if (text.trim() !== '' || part.options !== undefined) content.push({ type: 'text', text, ...own });
    }
  }
  return content;
}

function fits(parts: StatePart[], answer: { text: string; calls: CallPart[] }): boolean {
  const length = parts.reduce((sum, part) => sum + (part.type === 'text' ? part.length : 0), 0);
  const calls = parts.filter((part) => part.type === 'tool-call').length;
  return length === answer.text.length && calls === answer.calls.length;
}
