import { systemClock } from '../clock.ts';
import type { Sandbox } from '../computers/sandbox.ts';
import type { CleanRoom } from '../computers/workspaces/clean-room.ts';
import type { PreparedSetups } from '../computers/workspaces/prepared-setup.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import type { EventFeed } from '../events/feed.ts';
import { readVersion } from '../http/version.ts';
import type { Models } from '../models/model.ts';
import type { Driver } from '../runs/worker.ts';
import { type FaultReports, openFaultReports } from '../telemetry/fault-reports.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { Capture } from '../telemetry/spans.ts';
import { traceChecks, traceSandbox } from '../telemetry/trace-computer.ts';
import { traceFetch } from '../telemetry/trace-fetch.ts';
import { placeDriver, traceDriver, traceModels, traceTool } from '../telemetry/trace-runs.ts';
import { openTracing, type Tracing } from '../telemetry/tracing.ts';
import type { Tool } from '../tools/tool.ts';
import type { Base } from './base.ts';

export interface Telemetry {
  /** Null where nobody takes spans. */
  tracing: Tracing | null;
  metrics: Metrics;
  /** Around what a worker is made of; without spans where nobody takes them. */
  trace: {
    driver(driver: Driver): Driver;
    models<M extends Models>(models: M): M;
    tools(tools: readonly Tool[]): readonly Tool[];
    sandbox(sandbox: Sandbox): Sandbox;
    computer<C extends { cleanRoom: CleanRoom; setups: PreparedSetups }>(computer: C): C;
    /** What leaves goes on in the trace in any case. */
    fetch(send: typeof fetch): typeof fetch;
  };
}

/** Null where nobody wants to be told of faults. */
export async function openFaults(
  config: Config,
  { redact, started }: Pick<Base, 'started'> & { redact: (text: string) => string },
): Promise<FaultReports | null> {
  const settings = config.telemetry.sentry;
  if (settings === null) return null;
  return started.use(await openFaultReports(settings, { version: readVersion(), redact }));
}

export async function openTelemetry(
  config: Config,
  base: Base & {
    database: Database;
    feed: EventFeed;
    redact: (text: string) => string;
    subscribers: () => number;
  },
): Promise<Telemetry> {
  const { started, database } = base;
  const version = readVersion();
  const settings = config.telemetry.tracing;
  const tracing =
    settings === null ? null : started.use(await openTracing(settings, { version, log: base.log }));
  const capture: Capture = settings?.captureContent === true ? base.redact : null;
  const { home } = config;
  const metrics = started.use(new Metrics({ ...base, home, version, now: () => systemClock.monotonic() }));
  return {
    tracing,
    metrics,
    trace: {
      driver: (driver) => (tracing === null ? placeDriver(driver) : traceDriver(tracing, database, driver)),
      models: (models) => (tracing === null ? models : traceModels(tracing, models, capture)),
      tools: (tools) => (tracing === null ? tools : tools.map((tool) => traceTool(tracing, tool, capture))),
      sandbox: (sandbox) => (tracing === null ? sandbox : traceSandbox(tracing, sandbox, capture)),
      computer: (computer) => (tracing === null ? computer : traceChecks(tracing, computer)),
      fetch: (send) => traceFetch(tracing, send),
    },
  };
}
