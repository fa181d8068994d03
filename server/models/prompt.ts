import type {
  JSONSchema7,
  LanguageModelV4FunctionTool,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4ToolCallPart,
  LanguageModelV4ToolResultPart,
} from '@ai-sdk/provider';
import { restoreParts } from './answer-state.ts';
import type { Image, Message, ModelRequest, ToolDefinition } from './model.ts';

type AssistantMessage = Extract<Message, { role: 'assistant' }>;
type ToolMessage = Extract<Message, { role: 'tool' }>;

/** Stands for an answer without text and calls, which providers refuse to read back. */
export const emptyAnswer = '(empty answer)';
const carryOn = 'Continue.';

/**
 * Our request as a provider's prompt. The result obeys the strictest provider whatever the history holds:
 * it starts and ends with the user, no text is blank, no two assistant messages touch (so their number is
 * the number of turns), every tool call is followed by its result, and no result lacks its call.
 */
export function buildPrompt(
  request: Pick<ModelRequest, 'model' | 'system' | 'messages'>,
): LanguageModelV4Prompt {
  const prompt: LanguageModelV4Prompt = [];
  if (!isBlank(request.system)) prompt.push({ role: 'system', content: request.system });
  let turn = openUserTurn([]);
  for (const message of request.messages) {
    if (message.role === 'assistant') {
      prompt.push(...closeUserTurn(turn), convertAnswer(message, request.model));
      turn = openUserTurn(message.toolCalls);
    } else if (message.role === 'tool') takeResults(turn, message);
    else {
      if (!isBlank(message.text)) turn.texts.push(message.text);
      turn.images.push(...(message.images ?? []));
    }
  }
  prompt.push(...closeUserTurn(turn));
  return prompt;
}

export function buildTools(tools: ToolDefinition[]): LanguageModelV4FunctionTool[] {
  return tools.map(({ name, description, inputSchema }) => ({
    type: 'function',
    name,
    description,
    inputSchema: inputSchema as JSONSchema7,
  }));
}

/** What the user's side says between two answers: results of the calls still owed, then text. */
interface UserTurn {
  owed: Map<string, string>;
  results: LanguageModelV4ToolResultPart[];
  texts: string[];
  images: Image[];
}

function openUserTurn(calls: AssistantMessage['toolCalls']): UserTurn {
  return { owed: new Map(calls.map((call) => [call.id, call.name])), results: [], texts: [], images: [] };
}

function takeResults(turn: UserTurn, message: ToolMessage): void {
  for (const result of message.results) {
    if (turn.owed.delete(result.callId)) turn.results.push(convertResult(result));
    else turn.texts.push(`Result of an earlier call of ${result.name}:\n${result.output}`);
  }
}

function closeUserTurn(turn: UserTurn): LanguageModelV4Message[] {
  const missing = [...turn.owed].map(([callId, name]) =>
    convertResult({ callId, name, output: 'No result of this call was recorded.', failed: true }),
  );
  const results = [...turn.results, ...missing];
  const texts = turn.texts.length + results.length === 0 ? [carryOn] : turn.texts;
  const messages: LanguageModelV4Message[] = [];
  if (results.length > 0) messages.push({ role: 'tool', content: results });
  if (texts.length > 0) {
    const images = turn.images.map(({ mediaType, base64 }) => ({
      type: 'file' as const,
      mediaType,
      data: { type: 'data' as const, data: base64 },
    }));
    messages.push({
      role: 'user',
      content: [...images, ...texts.map((text) => ({ type: 'text' as const, text }))],
    });
  }
  return messages;
}

function convertAnswer(message: AssistantMessage, model: string): LanguageModelV4Message {
  const calls = message.toolCalls.map(convertCall);
  const kept = message.providerState?.model === model ? message.providerState.state : undefined;
  const restored = restoreParts(kept, { text: message.text, calls });
  // Reasoning alone is no answer that a provider takes back.
  if (restored?.some((part) => part.type !== 'reasoning')) return { role: 'assistant', content: restored };
  if (!isBlank(message.text)) {
    return { role: 'assistant', content: [{ type: 'text', text: message.text.trimEnd() }, ...calls] };
  }
  return { role: 'assistant', content: calls.length > 0 ? calls : [{ type: 'text', text: emptyAnswer }] };
}

function convertCall(call: AssistantMessage['toolCalls'][number]): LanguageModelV4ToolCallPart {
  return {
    type: 'tool-call',
    toolCallId: asIdentifier(call.id),
    toolName: asIdentifier(call.name),
    input: readArguments(call.argumentsText),
  };
}

function convertResult(result: ToolMessage['results'][number]): LanguageModelV4ToolResultPart {
  const value = isBlank(result.output) ? '(no output)' : result.output;
  return {
    type: 'tool-result',
    toolCallId: asIdentifier(result.callId),
    toolName: asIdentifier(result.name),
    output: { type: result.failed ? 'error-text' : 'text', value },
  };
}

/** Providers take arguments back only as an object, so malformed ones travel inside one. */
function readArguments(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { __malformed: text };
}

/** Identifiers and names of calls go back to a provider that may not be the one that made them. */
function asIdentifier(text: string): string {
  return text.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 128) || '_';
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}
