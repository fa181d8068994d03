import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ChangeDiff } from '../../contract/changes.ts';
import type { ModelView, TestedModel } from '../../contract/models.ts';
import type { Finding } from '../../contract/system.ts';
import type { CreatedTask } from '../../contract/tasks.ts';
import type { Database } from '../database/database.ts';
import type { Actor } from '../domain/actor.ts';
import type { Artifacts } from '../domain/artifacts/artifacts.ts';
import type { ProviderRegistry } from '../domain/credentials/provider-registry.ts';
import type { NotificationSettings } from '../domain/notifications/settings.ts';
import type { RunPresenter } from '../domain/runs/runs.ts';
import type { TaskDefaults } from '../domain/tasks/tasks.ts';
import type { EventFeed } from '../events/feed.ts';
import type { LiveChannel } from '../events/live.ts';
import type { Logger } from '../log.ts';

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
  artifacts: Artifacts;
  present: RunPresenter;
  defaults: TaskDefaults;
  version: string;
  log: Logger;
  now: () => number;
  readDiff: (change: { runId: string; base: string; commit: string }) => Promise<ChangeDiff>;
  doctor: (actor: Actor, options: { test: boolean }) => Promise<Finding[]>;
  /** All that the server knows, as a stream. */
  openBackup: (signal: AbortSignal) => Readable;
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
  /** The dashboard's built files. */
  pageFolder: string;
  ownHosts: ReadonlySet<string>;
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
