import type { ErrorClass, ModelResult, Usage } from '../../contract/steps.ts';

/** A tool as a model sees it: the shape of an MCP tool definition. */
export interface ToolDefinition {
  name: string;
  description: string;
  /** JSON Schema of the arguments. */
  inputSchema: Record<string, unknown>;
}

export interface Image {
  /** `image/png`, `image/jpeg`, `image/gif` or `image/webp`. */
  mediaType: string;
  base64: string;
}

export type Message =
  | { role: 'user'; text: string; images?: readonly Image[] }
  | {
      role: 'assistant';
      text: string;
      toolCalls: { id: string; name: string; argumentsText: string }[];
      /** What the answer's model wants back with it; other models never see it. */
      providerState?: { model: string; state: unknown };
    }
  | { role: 'tool'; results: { callId: string; name: string; output: string; failed: boolean }[] };

export interface ModelRequest {
  /** `provider/name`, such as `anthropic/claude-sonnet-4-5` or `recorded/sample-task`. */
  model: string;
  system: string;
  messages: Message[];
  tools: ToolDefinition[];
  maxOutputTokens: number;
}

export interface ModelAnswer extends ModelResult {
  /** What the provider reported; where it reports nothing, a bound from above. */
  usage: Usage;
}

/** A failed call. `usage` is what the provider reported before it failed, if it did. */
export class ModelError extends Error {
  readonly class: ErrorClass;
  readonly retryAfterMs: number | undefined;
  readonly usage: Usage | undefined;

  constructor(
    errorClass: ErrorClass,
    message: string,
    options: { cause?: unknown; retryAfterMs?: number | undefined; usage?: Usage | undefined } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'ModelError';
    this.class = errorClass;
    this.retryAfterMs = options.retryAfterMs;
    this.usage = options.usage;
  }
}

/** In millionths of a US dollar for a million tokens. */
export interface Rates {
  input: number;
  cachedInput: number;
  /** Input that is written to the provider's cache. */
  cacheWrite: number;
  output: number;
}

export interface Price extends Rates {
  /** What a call costs whose input has more than so many tokens. */
  long?: Rates & { above: number };
}

export interface ModelDescription {
  model: string;
  /** True where answers are replayed from a recording; shown wherever the model is named. */
  recording: boolean;
  contextTokens: number;
  maxOutputTokens: number;
  /** Takes images; where not, they are left out of its requests. */
  images?: boolean;
  price: Price;
}

export interface Models {
  /** @throws AppError `unprocessable` that names the models there are, or says how to give a price */
  describe(model: string): Promise<ModelDescription>;
  /**
   * One call, streamed; never retried here.
   * @throws ModelError for every failure of the provider; the signal's reason when aborted
   */
  call(
    request: ModelRequest,
    options: { signal: AbortSignal; onText: (text: string) => void },
  ): Promise<ModelAnswer>;
}

/** What a provider adds of its own: roles, and its instructions for tools (several hundred tokens at Anthropic). */
const addedByProvider = 1_000;

/** More than any provider counts for one image, which it scales down first (the highest known is below 5,000). */
const highestImageTokens = 10_000;

export function withoutImages(messages: readonly Message[]): Message[] {
  return messages.map((message) =>
    message.role === 'user' ? { role: 'user', text: message.text } : message,
  );
}

/** The highest this request can use: input is bounded by its bytes, since a token has at least one. */
export function highestUsage(request: ModelRequest): Usage {
  const images = request.messages.flatMap((message) =>
    message.role === 'user' ? (message.images ?? []) : [],
  );
  const bytes = Buffer.byteLength(
    JSON.stringify([request.system, withoutImages(request.messages), request.tools]),
  );
  return {
    input: bytes + addedByProvider + images.length * highestImageTokens,
    cachedInput: 0,
    output: request.maxOutputTokens,
  };
}

/** The highest price of a usage of which it is not known yet what the cache takes or gives. */
export function highestPriceOf(usage: Usage, price: Price): number {
  const rates = ratesFor(usage, price);
  const input = Math.max(rates.input, rates.cachedInput, rates.cacheWrite);
  return Math.ceil((usage.input * input + usage.output * rates.output) / 1e6);
}

/** Price of a usage in millionths of a dollar, rounded up. */
export function priceOf(usage: Usage, price: Price): number {
  const rates = ratesFor(usage, price);
  const { input, cachedInput, cacheWrite = 0, output } = usage;
  const fresh = input - cachedInput - cacheWrite;
  return Math.ceil(
    (fresh * rates.input +
      cachedInput * rates.cachedInput +
      cacheWrite * rates.cacheWrite +
      output * rates.output) /
      1e6,
  );
}

function ratesFor(usage: Usage, { long, ...price }: Price): Rates {
  return long !== undefined && usage.input > long.above ? long : price;
}
