import { z } from 'zod';
import { type Receiver, startReceiver } from '../receiver.ts';

const value = z.object({
  stringValue: z.string().optional(),
  intValue: z.union([z.string(), z.number()]).optional(),
  boolValue: z.boolean().optional(),
  arrayValue: z.object({ values: z.array(z.object({ stringValue: z.string().optional() })) }).optional(),
});
const attributes = z.array(z.object({ key: z.string(), value }));
const span = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  kind: z.number(),
  attributes,
  status: z.object({ code: z.number().optional() }),
});
const request = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes }),
      scopeSpans: z.array(z.object({ spans: z.array(span) })),
    }),
  ),
});

export interface SeenSpan extends Omit<z.infer<typeof span>, 'attributes'> {
  service: string;
  attributes: Record<string, unknown>;
}

/** A collector: takes OTLP over HTTP as JSON, as every span's receiver does. */
export interface Collector extends AsyncDisposable {
  readonly url: string;
  readonly receiver: Receiver;
  spans(): SeenSpan[];
}

export async function startCollector(): Promise<Collector> {
  const receiver = await startReceiver();
  receiver.answer(200, { 'content-type': 'application/json' });
  return {
    url: receiver.url,
    receiver,
    spans: () =>
      receiver.received.filter(({ path }) => path === '/v1/traces').flatMap(({ body }) => read(body)),
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

function read(body: string): SeenSpan[] {
  const { resourceSpans } = request.parse(JSON.parse(body));
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(valuesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((each) => ({ ...each, service, attributes: valuesOf(each.attributes) })),
    );
  });
}

function valuesOf(list: z.infer<typeof attributes>): Record<string, unknown> {
  return Object.fromEntries(
    list.map(({ key, value: { stringValue, intValue, boolValue, arrayValue } }) => [
      key,
      stringValue ??
        (intValue === undefined ? undefined : Number(intValue)) ??
        boolValue ??
        arrayValue?.values.map((item) => item.stringValue),
    ]),
  );
}
