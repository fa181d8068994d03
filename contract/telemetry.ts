import { z } from 'zod';

const address = z.url({ protocol: /^https?$/ });
const isOn = z.stringbool({ error: 'takes true or false' });

/** Of the environment, by the names that OpenTelemetry and Sentry gave them; off where they are not set. */
export const telemetryVariables = {
  OTEL_SDK_DISABLED: isOn.optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: address.optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: address.optional(),
  OTEL_SERVICE_NAME: z.string().optional(),
  /** The part of the traces that begin here that is kept, from 0 to 1; what a caller began is as it decided. */
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).optional(),
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: isOn.optional(),
  SENTRY_DSN: address.optional(),
  SENTRY_ENVIRONMENT: z.string().optional(),
  /** Lets a scraper read /metrics, and nothing else, without a key of a principal. */
  MISSION_METRICS_TOKEN: z.string().min(16, 'must be 16 characters or more').optional(),
  /** Where a process without the API answers /metrics, /health and /ready, on loopback; 0 for any free port. */
  MISSION_METRICS_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
};
const variables = z.object(telemetryVariables);

export interface TracingSettings {
  /** Where spans go, by OTLP over HTTP as JSON. */
  url: string;
  serviceName: string;
  /** From 0 to 1. */
  sampleRatio: number;
  /** What is said to and by models and tools goes into spans too. */
  captureContent: boolean;
}

export interface TelemetrySettings {
  /** Null: no spans are made. */
  tracing: TracingSettings | null;
  sentry: { dsn: string; environment: string } | null;
  metricsToken: string | null;
  /** Of a process without the API; null where it answers nobody. */
  metricsPort: number | null;
}

export function chooseTelemetry(values: z.infer<typeof variables>): TelemetrySettings {
  const base = values.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/+$/, '');
  const url =
    values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === undefined ? undefined : `${base}/v1/traces`);
  return {
    tracing:
      url === undefined || values.OTEL_SDK_DISABLED === true
        ? null
        : {
            url,
            serviceName: values.OTEL_SERVICE_NAME ?? 'mission-control',
            sampleRatio: values.OTEL_TRACES_SAMPLER_ARG ?? 1,
            captureContent: values.OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT ?? false,
          },
    sentry:
      values.SENTRY_DSN === undefined
        ? null
        : { dsn: values.SENTRY_DSN, environment: values.SENTRY_ENVIRONMENT ?? 'production' },
    metricsToken: values.MISSION_METRICS_TOKEN ?? null,
    metricsPort: values.MISSION_METRICS_PORT ?? null,
  };
}
