-- A budget above every call: its run, task, agent, agent's day, project and day. `agent_day` is keyed
-- `agt_…/2026-01-31`.
ALTER TABLE budgets
  DROP CONSTRAINT budgets_scope_check,
  ADD CONSTRAINT budgets_scope_check CHECK (scope IN ('run', 'task', 'agent', 'agent_day', 'project', 'day'));

CREATE TEMPORARY TABLE above ON COMMIT DROP AS
  SELECT scope, key, run_id, min('bud_' || left(md5(scope || key || clock_timestamp()::text), 17))
    OVER (PARTITION BY scope, key) AS id
  FROM (SELECT runs.id AS run_id, places.scope, places.key FROM runs JOIN tasks ON tasks.id = runs.task_id,
    LATERAL (VALUES ('task', tasks.id), ('agent', runs.agent_id), ('project', tasks.project_id)) AS places (scope, key)) AS all_places
  WHERE key IS NOT NULL;
INSERT INTO budgets (id, scope, scope_key, spent_tokens, spent_micros, reserved_tokens, reserved_micros)
  SELECT above.id, above.scope, above.key, sum(budgets.spent_tokens), sum(budgets.spent_micros),
    sum(budgets.reserved_tokens), sum(budgets.reserved_micros)
  FROM above JOIN budgets ON budgets.scope = 'run' AND budgets.scope_key = above.run_id
  GROUP BY above.id, above.scope, above.key;
INSERT INTO reservations (run_id, seq, budget_id, tokens, micros)
  SELECT reservations.run_id, reservations.seq, above.id, reservations.tokens, reservations.micros
  FROM reservations JOIN budgets ON budgets.id = reservations.budget_id AND budgets.scope = 'run'
    JOIN above ON above.run_id = reservations.run_id;

-- What an agent may use in a time, and what is out of its ordinary; contract/limits.ts says what `settings` holds.
CREATE TABLE agent_limits (
  agent_id   text PRIMARY KEY REFERENCES agents,
  settings   jsonb NOT NULL,
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp())
);

-- The calls of the last hour of agents whose rate is limited; a call that is begun again after a crash is the same row.
CREATE TABLE agent_calls (
  agent_id text NOT NULL REFERENCES agents,
  run_id   text NOT NULL,
  ref      text NOT NULL,
  command  boolean NOT NULL,
  at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run_id, ref)
);
CREATE INDEX agent_calls_recent ON agent_calls (agent_id, at);

-- What was out of an agent's ordinary, and the call that it was noticed at.
CREATE TABLE agent_surprises (
  run_id   text NOT NULL REFERENCES runs,
  kind     text NOT NULL CHECK (kind IN ('tool', 'host', 'spend', 'errors')),
  subject  text NOT NULL,
  call     text NOT NULL,
  reason   text NOT NULL,
  at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run_id, kind, subject)
);

-- Private: what is read of it taints a run as private. Untrusted: what is read of it may be an attacker's words.
ALTER TABLE projects
  ADD COLUMN private   boolean NOT NULL DEFAULT false,
  ADD COLUMN untrusted boolean NOT NULL DEFAULT false;

CREATE INDEX IF NOT EXISTS runs_of_agent ON runs (agent_id, created_at);
