import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { AskReport } from '../../contract/asks.ts';
import type { ChangeDiff } from '../../contract/changes.ts';
import type { ModelView, TestedModel } from '../../contract/models.ts';
import type { PolicyExplanation, TestPolicyBody } from '../../contract/policies.ts';
import type { Finding } from '../../contract/system.ts';
import type { CreatedTask } from '../../contract/tasks.ts';
import type { Database } from '../database/database.ts';
import type { TransactionGuards } from '../database/transaction-guards.ts';
import type { Actor } from '../domain/actor.ts';
import type { Artifacts } from '../domain/artifacts/artifacts.ts';
import type { ProviderRegistry } from '../domain/credentials/provider-registry.ts';
import type { Vault } from '../domain/credentials/vault.ts';
import type { KeyedRequests } from '../domain/idempotency/keyed-requests.ts';
import type { NotificationSettings } from '../domain/notifications/settings.ts';
import type { RunPresenter } from '../domain/runs/runs.ts';
import type { TaskDefaults } from '../domain/tasks/tasks.ts';
import type { WebhookContext } from '../domain/webhooks/webhooks.ts';
import type { ChainAnchors } from '../events/anchors.ts';
import type { EventFeed } from '../events/feed.ts';
import type { LiveChannel } from '../events/live.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import type { Certificate } from './certificate.ts';
import type { Connections } from './connections.ts';
import type { Edge } from './edge.ts';
import type { RateLimits } from './rate-limits.ts';

declare module 'fastify' {
  interface FastifyRequest {
    actor: Actor;
  }
}

/** What the routes call. */
export interface HttpParts {
  database: Database;
  feed: EventFeed;
  live: LiveChannel;
  /** Places of the log's chain that stand outside of the database. */
  anchors: ChainAnchors;
  artifacts: Artifacts;
  secrets: {
    /** Seals what credentials hold. */
    vault: Vault;
    /** A secret that will be stored: kept out of the log from now on. */
    expect: (secret: { name: string; value: string }) => void;
  };
  /** The largest artifact that may be sent. */
  artifactBytes: number;
  keyedRequests: KeyedRequests;
  guards: TransactionGuards;
  /** Every answer is held against the OpenAPI document; for tests. */
  validateAnswers: boolean;
  present: RunPresenter;
  defaults: TaskDefaults;
  version: string;
  log: Logger;
  now: () => number;
  readDiff: (change: { runId: string; base: string; commit: string }) => Promise<ChangeDiff>;
  /** What work needs in order to go on. */
  examine: () => Promise<Finding[]>;
  tracing: Tracing | null;
  metrics: Metrics;
  /** The scraper's own; null where it needs a principal's key. */
  metricsToken: string | null;
  doctor: (actor: Actor, options: { test: boolean }) => Promise<Finding[]>;
  /** All that the server knows, as a stream. */
  openBackup: (signal: AbortSignal) => Readable;
  webhooks: {
    context: WebhookContext;
    test: (actor: Actor, id: string) => Promise<{ delivered: true; host: string }>;
  };
  notifications: {
    settings: NotificationSettings;
    test: (actor: Actor, name: string) => Promise<{ delivered: true; host: string }>;
  };
  models: {
    list: () => Promise<ModelView[]>;
    registry: ProviderRegistry;
    /** A short real call. */
    test: (actor: Actor, model: string) => Promise<TestedModel>;
  };
  /** Makes the sample repository and gives its task to the recorded model. */
  createSample: (actor: Actor) => Promise<CreatedTask>;
  policy: {
    /** Judges a call that nobody makes, and explains the judgement. */
    test: (actor: Actor, body: TestPolicyBody) => Promise<PolicyExplanation>;
    report: (actor: Actor, days: number) => Promise<AskReport>;
  };
  /** The dashboard's built files. */
  pageFolder: string;
  edge: Edge;
  /** Null where TLS is not ours to speak. */
  certificate: Certificate | null;
  connections: Connections;
  limits: RateLimits;
  /** Signs the page's cookie. */
  cookieKey: Buffer;
  /** Aborted when the server stops, so that streams end. */
  stopping: AbortSignal;
}

export type Routes = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;
