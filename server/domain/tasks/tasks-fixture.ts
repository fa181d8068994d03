import type { RegisterAgentBody } from '../../../contract/agents.ts';
import type { CreateProjectBody } from '../../../contract/projects.ts';
import type { CreateTaskBody, TakenTask } from '../../../contract/tasks.ts';
import type { Database } from '../../database/database.ts';
import { sql } from '../../database/sql.ts';
import { presenter } from '../../runs/runs-fixture.ts';
import { type Actor, fullActor } from '../actor.ts';
import { registerForeignAgent } from '../agents/agents.ts';
import { registerAgent } from '../principals/principals.ts';
import { createProject } from '../projects/projects.ts';
import { type Claim, type ClaimRequest, claimTasks } from './claims.ts';
import { type TaskContext, takeTask } from './tasks.ts';

export const admin: Actor = fullActor({ id: 'prn_admin', name: 'ada', role: 'admin' });

/** What a server has on its first day: our own developer, a project without a repository, and a way to give work. */
export class House {
  readonly context: TaskContext;
  readonly projectId: string;
  #agents = 0;

  private constructor(context: TaskContext, projectId: string) {
    this.context = context;
    this.projectId = projectId;
  }

  static async open(
    database: Database,
    options: { now?: () => number; project?: Partial<CreateProjectBody> } = {},
  ): Promise<House> {
    await registerAgent(database, {
      name: 'developer',
      role: 'developer',
      prompt: 'Work.',
      model: 'recorded/test',
      playbook: 'coder',
      policy: [],
    });
    const project = await createProject(database, admin, {
      name: 'chores',
      reviewRequired: false,
      ...options.project,
    });
    const defaults = { agent: 'developer', runLimitMicros: 5, runLimitTokens: 6, dayLimitMicros: 7 };
    const now = options.now ?? Date.now;
    return new House({ database, present: presenter, defaults, now }, project.id);
  }

  get database(): Database {
    return this.context.database;
  }

  give(body: Partial<CreateTaskBody> = {}): Promise<TakenTask> {
    const where = body.repository === undefined ? { project: this.projectId } : {};
    return takeTask(this.context, admin, { instructions: 'Sweep the floor.', ...where, ...body });
  }

  async hire(body: Partial<RegisterAgentBody> = {}): Promise<Actor> {
    this.#agents += 1;
    const { agent } = await registerForeignAgent(this.database, admin, {
      name: `hand-${this.#agents}`,
      ...body,
    });
    return fullActor({ id: agent.id, name: agent.name, role: 'agent' });
  }

  claim(agent: Actor, request: Partial<ClaimRequest> = {}): Promise<Claim[]> {
    return claimTasks(this.database, {
      agent,
      actor: agent,
      count: 1,
      leaseSeconds: 60,
      now: this.context.now(),
      ...request,
    });
  }

  /** The types of the task's events, in their order. */
  async told(taskId: string): Promise<string[]> {
    const rows = await this.database.many<{ type: string }>(
      sql`SELECT type FROM event_outbox WHERE task_id = ${taskId} ORDER BY position`,
    );
    return rows.map(({ type }) => type);
  }
}
