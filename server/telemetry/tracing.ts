import type { Span } from '@opentelemetry/api';
import type { TracingSettings } from '../../contract/telemetry.ts';
import type { Logger } from '../log.ts';
import type { TraceContext } from '../trace-context.ts';

export type SpanAttributes = Record<string, string | number | boolean | string[] | undefined>;

export interface SpanStart {
  name: string;
  /** Who is asked for something, who asks another, or neither. */
  kind: 'server' | 'client' | 'internal';
  /** Where it stands below; null where it begins a trace. */
  parent: TraceContext | null;
  attributes: SpanAttributes;
}

/** One act with its beginning and its end. */
export interface TraceSpan {
  readonly context: TraceContext;
  set(attributes: SpanAttributes): void;
  /** @param type a low-cardinality class of the failure, such as `timeout` */
  fail(type: string): void;
  end(): void;
}

/** Makes spans and sends them away, in batches, while work goes on. */
export interface Tracing extends AsyncDisposable {
  start(span: SpanStart): TraceSpan;
}

const exportEveryMs = 1_000;
const exportLimitMs = 5_000;

/** OpenTelemetry is loaded only here, so that whoever does not trace does not pay for it. */
export async function openTracing(
  settings: TracingSettings,
  { version, log }: { version: string; log: Logger },
): Promise<Tracing> {
  const [api, sdk, { OTLPTraceExporter }, resources] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const { DiagLogLevel, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, diag, trace } = api;
  diag.setLogger(saidBy(log), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const said = resources.detectResources({ detectors: [resources.envDetector] });
  const provider = new sdk.TracerProvider({
    resource: resources
      .defaultResource()
      .merge(said)
      .merge(
        resources.resourceFromAttributes({
          'service.name': settings.serviceName,
          'service.version': version,
        }),
      ),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(settings.sampleRatio) }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        // Headers, certificates and the like it reads itself, from the variables that OpenTelemetry names.
        exporter: new OTLPTraceExporter({ url: settings.url, timeoutMillis: exportLimitMs }),
        scheduledDelayMillis: exportEveryMs,
        exportTimeoutMillis: exportLimitMs,
      }),
    ],
  });
  const tracer = provider.getTracer('mission-control', version);
  const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL };
  return {
    start({ name, kind, parent, attributes }) {
      const above =
        parent === null
          ? ROOT_CONTEXT
          : trace.setSpanContext(ROOT_CONTEXT, {
              traceId: parent.traceId,
              spanId: parent.spanId,
              traceFlags: parent.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
              isRemote: true,
            });
      const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, above);
      return {
        context: contextOf(span, TraceFlags.SAMPLED),
        set: (more) => void span.setAttributes(more),
        fail(type) {
          span.setAttribute('error.type', type);
          span.setStatus({ code: SpanStatusCode.ERROR });
        },
        end: () => span.end(),
      };
    },
    [Symbol.asyncDispose]: () => provider.shutdown(),
  };
}

/** A collector that is away is no fault of ours, and nothing waits for it. */
function saidBy(log: Logger) {
  const warn = (message: string) => log.warn({ said: message.slice(0, 500) }, 'spans cannot be sent now');
  const quiet = () => undefined;
  return { error: warn, warn, info: quiet, debug: quiet, verbose: quiet };
}

function contextOf(span: Span, sampledFlag: number): TraceContext {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return { traceId, spanId, sampled: (traceFlags & sampledFlag) === sampledFlag };
}
