import type { ServiceName } from '../computers/workspaces/services.ts';
import type { Queryable } from '../database/database.ts';
import { sql } from '../database/sql.ts';
import type { RunOrigin } from '../domain/runs/runs.ts';
import type { PolicyRule } from '../tools/policy/judge.ts';

/** A run with its task, project and agent: what a driver must know before it reads the journal. */
export interface Assignment {
  runId: string;
  taskId: string;
  changeId: string | null;
  /** Set where the work goes on with a change that was sent back. */
  origin: RunOrigin | null;
  model: string;
  /** What the run goes on with, in this order, where its model cannot be used. */
  fallbackModels: string[];
  location: string;
  branch: string | null;
  /** Where checks and set-up run, if not at the root. */
  folder: string | null;
  title: string;
  instructions: string;
  checks: string[] | null;
  setup: string[] | null;
  services: ServiceName[] | null;
  createdBy: string;
  agent: string;
  agentId: string;
  agentRole: string;
  projectId: string;
  prompt: string;
  playbook: string;
  policy: PolicyRule[];
}

export async function readAssignment(database: Queryable, runId: string): Promise<Assignment> {
  return database.one<Assignment>(
    sql`SELECT runs.id AS "runId", runs.task_id AS "taskId", runs.change_id AS "changeId", runs.origin, runs.model,
          projects.location, tasks.branch, tasks.folder, tasks.title, tasks.instructions, tasks.checks, tasks.setup, tasks.services,
          tasks.created_by AS "createdBy", agents.name AS agent, agents.id AS "agentId", agents.role AS "agentRole", projects.id AS "projectId",
          agents.fallback_models AS "fallbackModels", agents.prompt, agents.playbook, agents.policy
        FROM runs JOIN tasks ON tasks.id = runs.task_id JOIN projects ON projects.id = tasks.project_id
          JOIN agents ON agents.id = runs.agent_id WHERE runs.id = ${runId}`,
  );
}
