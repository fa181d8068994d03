-- Requests that carried an Idempotency-Key. The row is there before the request acts; what it changes marks the
-- row in the same transaction, so that a repeat can tell "nothing happened" from "it happened, the answer is lost".
CREATE TABLE idempotency_keys (
  principal_id text NOT NULL REFERENCES principals,
  key          text NOT NULL,
  method       text NOT NULL,
  -- With its query.
  path         text NOT NULL,
  -- SHA-256 of what was sent.
  fingerprint  bytea NOT NULL,
  -- The advisory lock that the process which works on it holds for as long as it lives.
  holder       bigint NOT NULL,
  -- Rises when another process takes over, so that the first can commit nothing any more.
  attempt      integer NOT NULL DEFAULT 1,
  acted        boolean NOT NULL DEFAULT false,
  -- The answer; NULL while the request is in flight.
  status       integer,
  headers      jsonb,
  body         text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (principal_id, key, method, path)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What an entity tag names: it rises with each change that a person could have decided otherwise by.
ALTER TABLE asks ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE changes ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE runs ADD COLUMN version integer NOT NULL DEFAULT 1;

CREATE FUNCTION raise_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  RETURN NEW;
END
$$;
CREATE TRIGGER asks_version BEFORE UPDATE ON asks FOR EACH ROW EXECUTE FUNCTION raise_version();
CREATE TRIGGER changes_version BEFORE UPDATE ON changes FOR EACH ROW EXECUTE FUNCTION raise_version();
-- Not with heartbeats and steps: those change nothing that a decision rests on. What foreign agents hold ends in
-- statements that raise it themselves.
CREATE TRIGGER runs_version BEFORE UPDATE OF status, control ON runs FOR EACH ROW
  WHEN (OLD.kind <> 'external' AND (OLD.status IS DISTINCT FROM NEW.status OR OLD.control IS DISTINCT FROM NEW.control))
  EXECUTE FUNCTION raise_version();

ALTER TABLE artifacts ADD COLUMN task_id text REFERENCES tasks;
ALTER TABLE artifacts ADD COLUMN created_by text;
CREATE INDEX artifacts_by_run ON artifacts (run_id, created_at) WHERE run_id IS NOT NULL;
CREATE INDEX artifacts_by_task ON artifacts (task_id, created_at) WHERE task_id IS NOT NULL;
