-- Every change of the policy is a version: who, when and why. A rule is never altered, only added and removed.
CREATE TABLE policy_versions (
  version integer PRIMARY KEY,
  by      text NOT NULL,
  why     text NOT NULL,
  at      timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp())
);

CREATE TABLE policy_rules (
  number     integer PRIMARY KEY,
  rule       jsonb NOT NULL,
  -- Whom it speaks of; null is everybody.
  agent_id   text REFERENCES agents,
  project_id text REFERENCES projects ON DELETE CASCADE,
  agent_role text,
  run_id     text REFERENCES runs,
  -- The ask that it was made from.
  ask_id     text REFERENCES asks,
  added_in   integer NOT NULL REFERENCES policy_versions,
  removed_in integer REFERENCES policy_versions
);
CREATE INDEX policy_rules_in_force ON policy_rules (number) WHERE removed_in IS NULL;

-- How long an approval is remembered beyond the one call.
ALTER TABLE asks ADD COLUMN remember text CHECK (remember IN ('run', 'rule'));
CREATE INDEX asks_of_task ON asks (task_id);
