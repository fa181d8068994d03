import type { CheckReceipt } from '../../contract/changes.ts';
import type { ModelStep, Step, ToolStep } from '../../contract/steps.ts';
import type { Database } from '../../server/database/database.ts';
import { sql } from '../../server/database/sql.ts';
import { findBrokenLink } from '../../server/events/verify.ts';
import { readSteps } from '../../server/runs/journal.ts';
import { git } from '../small-repository.ts';
import type { TestHome } from '../start-app.ts';
import { guidance } from './journey.ts';

/** What a run comes to, without what may differ: identifiers, dates, and how often something was tried. */
export interface Outcome {
  task: string;
  runs: string[];
  change: { title: string; description: string; status: string; tree: string; log: string };
  checks: Pick<CheckReceipt, 'command' | 'where' | 'outcome'>[];
  asks: string[];
  guidance: string[];
  notes: string[];
  results: string[];
}

/** Reads what has come of the one task of a home. */
export async function readOutcome(database: Database, home: TestHome): Promise<Outcome> {
  const task = await database.one<{ id: string; status: string }>(sql`SELECT id, status FROM tasks`);
  const runs = await database.many<{ id: string; kind: string; status: string; outcome: string }>(
    sql`SELECT id, kind, status, outcome FROM runs ORDER BY kind DESC, id`,
  );
  const change = await database.one<{
    title: string;
    description: string;
    status: string;
    receipt: { checks: CheckReceipt[] };
  }>(sql`SELECT title, description, status, receipt FROM changes`);
  const steps = await readSteps(database, { runId: runs[0]?.id ?? '' });
  return {
    task: task.status,
    runs: runs.map(({ kind, status }) => `${kind} ${status}`),
    change: {
      title: change.title,
      description: change.description,
      status: change.status,
      tree: await git(home.repository, 'rev-parse', 'main^{tree}'),
      log: await git(home.repository, 'log', '--format=%an <%ae> %B', 'main'),
    },
    checks: change.receipt.checks.map(({ command, where, outcome }) => ({ command, where, outcome })),
    asks: await database
      .many<{ text: string }>(sql`SELECT question || ': ' || status || ' ' || answer AS text FROM asks`)
      .then((rows) => rows.map((row) => row.text)),
    guidance: steps.flatMap((step) => (step.kind === 'guidance' ? [step.intent.text] : [])),
    notes: steps.flatMap((step) => (step.kind === 'note' ? [step.intent.text] : [])),
    results: steps.filter(isToolEnd).map((step) => `${step.intent.callId} ${step.name} ${step.status}`),
  };
}

/** Everything that must hold after any crash, whatever the run came to; each violation as a line. */
export async function findViolations(database: Database, home: TestHome): Promise<string[]> {
  const runs = await database.many<{ id: string }>(sql`SELECT id FROM runs`);
  const steps = await Promise.all(runs.map(({ id }) => readSteps(database, { runId: id })));
  return [
    ...steps.flatMap(judgeSteps),
    ...(await judgeMoney(database)),
    ...(await judgeLog(database)),
    ...(await judgeBranch(home)),
  ];
}

/**
 * How long after its worker's start the run of a dead worker was claimed again, in milliseconds by the log's own
 * times; null where no lease was left behind.
 */
export async function readResumption(database: Database): Promise<number | null> {
  const row = await database.one<{ ms: number | null }>(
    sql`SELECT max((extract(epoch FROM claimed.time - started.time) * 1000)::integer) AS ms
        FROM events expired
        CROSS JOIN LATERAL (
          SELECT sequence, time, actor FROM events WHERE type = 'run.claimed' AND run_id = expired.run_id
            AND sequence > expired.sequence ORDER BY sequence LIMIT 1
        ) claimed
        JOIN events started ON started.type = 'worker.started' AND started.entity_id = claimed.actor
        WHERE expired.type = 'run.lease_expired'`,
  );
  return row.ms;
}

/** Each call of each answer has exactly one result, and nothing is left open. */
function judgeSteps(steps: Step[]): string[] {
  const open = steps.filter((step) => step.status === 'intended');
  const answers = steps.filter((step): step is ModelStep => step.kind === 'model' && step.status === 'done');
  const calls = answers.flatMap((step) =>
    (step.result?.toolCalls ?? []).map((call) => ({ modelSeq: step.seq, ...call })),
  );
  const wrong = calls.flatMap(({ modelSeq, id, name }) => {
    const results = steps.filter((step) => isResultOf(step, modelSeq, id)).length;
    return results === 1 ? [] : [`call ${id} of step ${modelSeq} (${name}) has ${results} results`];
  });
  const results = steps.filter((step) => isToolEnd(step) || step.kind === 'note').length;
  const asked = steps.filter((step) => step.kind === 'ask' && step.intent.callId !== undefined).length;
  const surplus =
    answers.length > 0 && results + asked !== calls.length
      ? [`${results + asked} results for ${calls.length} calls`]
      : [];
  return [
    ...open.map((step) => `step ${step.seq} (${step.kind} ${step.name}) is open`),
    ...wrong,
    ...surplus,
  ];
}

const isToolEnd = (step: Step): step is ToolStep =>
  step.kind === 'tool' && (step.status === 'done' || step.status === 'failed');

function isResultOf(step: Step, modelSeq: number, callId: string): boolean {
  if (isToolEnd(step)) return step.intent.modelSeq === modelSeq && step.intent.callId === callId;
  if (step.kind === 'ask' || step.kind === 'note')
    return step.status === 'done' && step.intent.modelSeq === modelSeq && step.intent.callId === callId;
  return false;
}

const everyScope = 'agent, agent_day, day, project, run, task';

async function judgeMoney(database: Database): Promise<string[]> {
  const held = await database.one<{ count: number }>(sql`SELECT count(*) FROM reservations`);
  const budgets = await database.many<{ scope: string; spent: number; reserved: number }>(
    sql`SELECT scope, spent_micros AS spent, reserved_micros + reserved_tokens AS reserved FROM budgets
        WHERE spent_micros > 0 OR reserved_micros + reserved_tokens > 0`,
  );
  const steps = await database.one<{ cost: number }>(
    sql`SELECT coalesce(sum(cost_micros), 0)::bigint AS cost FROM steps`,
  );
  const charged = budgets
    .map(({ scope }) => scope)
    .sort()
    .join(', ');
  const spent = budgets
    .map(({ spent, scope }) => ({ scope, spent }))
    .filter((budget) => budget.spent < steps.cost);
  return [
    ...(held.count > 0 ? [`${held.count} reservations are left`] : []),
    ...budgets
      .filter(({ reserved }) => reserved !== 0)
      .map(({ scope }) => `the ${scope} budget is still reserved`),
    ...spent.map(
      (budget) => `the ${budget.scope} budget has ${budget.spent} spent, the steps cost ${steps.cost}`,
    ),
    ...(steps.cost > 0 && charged === everyScope ? [] : [`the budgets charged are ${charged}`]),
  ];
}

async function judgeLog(database: Database): Promise<string[]> {
  const broken = await findBrokenLink(database);
  const said = await database.one<{ count: number }>(
    sql`SELECT count(*) FROM messages WHERE text = ${guidance} AND read_at IS NULL`,
  );
  const twice = await database.many<{ type: string; entity: string; count: number }>(
    sql`SELECT type, entity_id AS entity, count(*) FROM events
        WHERE type IN ('task.created', 'run.queued', 'run.succeeded', 'ask.opened', 'ask.decided', 'change.ready',
          'change.merged', 'task.completed', 'message.sent')
        GROUP BY type, entity_id HAVING count(*) > 1`,
  );
  return [
    ...(broken === null ? [] : [`the log's chain breaks at ${broken}`]),
    ...(said.count > 0 ? ['what was said was never read'] : []),
    ...twice.map(({ type, entity, count }) => `${type} of ${entity} stands ${count} times on the log`),
  ];
}

/** Made once, and moved once by the merge. */
async function judgeBranch(home: TestHome): Promise<string[]> {
  const moves = await git(home.repository, 'reflog', 'show', '--format=%gs', 'main');
  return moves === 'mission: deliver' ? [] : [`the branch's moves are: ${moves}`];
}
