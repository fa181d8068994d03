import type { KeptFrom, Step, Taint, ToolIntent, ToolResult, ToolStep } from '../../../contract/steps.ts';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import type { OverRate } from '../../domain/limits/limits.ts';
import { namedHosts } from '../../domain/taint/destinations.ts';
import { isSecretPath } from '../../domain/taint/secret-paths.ts';
import { readDepartures, type TaintContext, taintOf } from '../../domain/taint/taint.ts';
import type { Guard } from '../judge-call.ts';
import { type DepartureContext, keepFrom, openDepartureGuard } from './departures.ts';
import { LimitsGuard } from './limits-guard.ts';

/** A host that was reached by a command. */
export interface Answered {
  host: string;
  /** It is in a network of this house. */
  private: boolean;
  /** The credential that the proxy added, by name. */
  credential: string | null;
}

/** What watches over one run beside the policy. */
export interface RunGuards {
  guards: readonly Guard[];
  /** Counts a call against the agent's rates; until when it has to wait. `tool` is null for a model's call. */
  enter(call: { ref: string; tool: string | null }): Promise<OverRate | null>;
  /** For the proxy: why a host may not be reached; null where it may. Kept in the result of the running call. */
  mayReach(host: string): Promise<{ reason: string } | null>;
  /** For the proxy: a host has answered. */
  answered(host: Answered): void;
  /** What the running call brought into the run: to be recorded with its result. */
  mark(intent: ToolIntent, result: ToolResult): ToolResult;
}

export interface GuardOptions {
  database: Database;
  run: { runId: string; taskId: string };
  steps(): readonly Step[];
  /** Of the workspace, relative to it. */
  files: readonly string[];
  hasNetwork: boolean;
  suspend(run: { agentId: string; agent: string }, reason: string): Promise<never>;
}

interface Background {
  agentId: string;
  agent: string;
  project: string | null;
  private: boolean;
  untrusted: boolean;
  title: string;
  instructions: string;
  createdBy: string;
  /** Null where whoever gave the task is gone. */
  createdByKind: 'human' | 'agent' | 'service' | null;
  attachments: number;
  /** What the run brought in whose change this one goes on with. */
  inherited: Taint[];
}

export async function openGuards(options: GuardOptions): Promise<RunGuards> {
  const { database, run, steps, suspend } = options;
  const background = await readBackground(database, run.runId);
  const taint = openTaintContext(background, options.files);
  const context: DepartureContext = {
    steps,
    taint,
    named: new Set(
      isByPerson(background) ? namedHosts(`${background.title}\n${background.instructions}`) : [],
    ),
    hasNetwork: options.hasNetwork,
  };
  const limits = new LimitsGuard(
    { database, steps, suspend: (reason) => suspend(background, reason) },
    { ...run, agentId: background.agentId, agent: background.agent },
  );
  let answered: Answered[] = [];
  let kept: KeptFrom[] = [];
  const taintNow = () => {
    const open = steps().findLast(
      (step): step is ToolStep => step.kind === 'tool' && step.status === 'intended',
    );
    return open === undefined ? [] : taintOf({ ...open.intent, answered }, { output: '' }, taint);
  };
  return {
    guards: [limits.guard, openDepartureGuard(context)],
    enter: (call) => limits.enter(call),
    async mayReach(host) {
      if (readDepartures(steps()).approved.has(host)) return null;
      const limited = await limits.keepFrom(host);
      const now = taintNow();
      if (limited !== null && !limited.mayAsk) return limited;
      const reasons = [limited?.reason, keepFrom(host, context, now)?.reason].filter(
        (reason) => reason !== undefined,
      );
      if (reasons.length === 0) {
        // From now on it may say something, also to what else the same command is at.
        answered.push({ host, private: false, credential: null });
        return null;
      }
      const reason = reasons.join('; ');
      if (!kept.some((one) => one.host === host)) kept.push({ host, reason });
      return { reason: `${reason}. A person is asked before the next command of this run.` };
    },
    answered: (host) => void answered.push(host),
    mark(intent, result) {
      const found = taintOf({ ...intent, answered }, result, taint);
      // What the task itself brought is shown with the first call that could carry it on.
      const isFirst = !steps().some((step) => step.kind === 'tool' && step.status === 'done');
      const marks = isFirst ? [...taint.base, ...found] : found;
      const keptNow = kept;
      answered = [];
      kept = [];
      return {
        ...result,
        ...(marks.length === 0 ? {} : { taint: marks }),
        ...(keptNow.length === 0 ? {} : { keptFrom: keptNow }),
      };
    },
  };
}

async function readBackground(database: Database, runId: string): Promise<Background> {
  return database.one<Background>(
    sql`SELECT agents.id AS "agentId", agents.name AS agent, projects.name AS project,
          coalesce(projects.private, false) AS private, coalesce(projects.untrusted, false) AS untrusted,
          tasks.title, tasks.instructions, tasks.created_by AS "createdBy", principals.kind AS "createdByKind",
          (SELECT count(*) FROM task_attachments WHERE task_attachments.task_id = tasks.id)::integer AS attachments,
          (SELECT coalesce(jsonb_agg(DISTINCT taint), '[]') FROM changes JOIN steps ON steps.run_id = changes.run_id,
              jsonb_array_elements(steps.result -> 'taint') AS taint
            WHERE changes.id = runs.origin ->> 'changeId' AND steps.kind = 'tool'
              AND jsonb_typeof(steps.result -> 'taint') = 'array') AS inherited
        FROM runs JOIN agents ON agents.id = runs.agent_id JOIN tasks ON tasks.id = runs.task_id
          LEFT JOIN projects ON projects.id = tasks.project_id LEFT JOIN principals ON principals.name = tasks.created_by
        WHERE runs.id = ${runId}`,
  );
}

function isByPerson({ createdByKind }: Background): boolean {
  return createdByKind === 'human';
}

function openTaintContext(background: Background, files: readonly string[]): TaintContext {
  const { project, createdBy, attachments } = background;
  const base: Taint[] = [...background.inherited];
  if (!isByPerson(background)) {
    base.push({ kind: 'untrusted', source: `the task, given by ${createdBy}` });
  }
  // A person passes on in them what others wrote: logs, mails, pictures.
  if (attachments > 0) base.push({ kind: 'untrusted', source: 'what is attached to the task' });
  return {
    privateProject: background.private ? (project ?? 'the project') : null,
    untrustedProject: background.untrusted ? (project ?? 'the project') : null,
    secretFiles: files.filter(isSecretPath),
    base,
  };
}
