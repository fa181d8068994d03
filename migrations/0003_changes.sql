-- A change that was sent back, or taken out of its branch again.
ALTER TABLE changes
  ADD COLUMN revert_commit      text,
  ADD COLUMN supersedes         text REFERENCES changes,
  ADD COLUMN sent_back_by       text,
  ADD COLUMN sent_back_comments text,
  ADD COLUMN sent_back_at       timestamptz,
  ADD CONSTRAINT changes_sent_back_says_why CHECK
    (status <> 'sent_back' OR (sent_back_by IS NOT NULL AND sent_back_comments IS NOT NULL AND sent_back_at IS NOT NULL));

-- What a person put in the place of a tool call's arguments when they approved it.
ALTER TABLE asks ADD COLUMN input jsonb;

CREATE SEQUENCE run_turns;
ALTER TABLE runs
  DROP CONSTRAINT runs_kind_check,
  ADD CONSTRAINT runs_kind_check CHECK (kind IN ('task', 'merge', 'revert')),
  -- Where the work begins, if not at the branch's tip: the change that was sent back and its commits.
  ADD COLUMN origin jsonb,
  -- Live runs of one turn_key go one after the other, the lowest turn first.
  ADD COLUMN turn_key text,
  ADD COLUMN turn bigint,
  -- What a run was before everything was stopped.
  ADD COLUMN before_halt jsonb,
  ADD CONSTRAINT runs_turn_is_whole CHECK ((turn_key IS NULL) = (turn IS NULL));
CREATE INDEX runs_turns ON runs (turn_key, turn) WHERE turn_key IS NOT NULL AND ended_at IS NULL;
CREATE INDEX runs_before_halt ON runs (id) WHERE before_halt IS NOT NULL;

-- At most one row: while it stands no worker takes a run.
CREATE TABLE halt (
  only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  halted_by text NOT NULL,
  reason    text NOT NULL,
  halted_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp())
);
