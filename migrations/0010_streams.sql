-- The project that an event belongs to: given by who knows it, else found by the sequencer. The chain covers it.
ALTER TABLE event_outbox ADD COLUMN project_id text;
ALTER TABLE events ADD COLUMN project_id text;

-- Each is read in the order of the log; a reader of several types or projects merges as many short reads.
CREATE INDEX events_of_type ON events (type, sequence);
CREATE INDEX events_of_project ON events (project_id, sequence) WHERE project_id IS NOT NULL;
CREATE INDEX events_of_project_and_type ON events (project_id, type, sequence) WHERE project_id IS NOT NULL;
-- Events of runs and tasks, which are most, are found by the indexes of those.
CREATE INDEX events_of_entity ON events (entity_type, entity_id, sequence) WHERE entity_type NOT IN ('run', 'task');

-- Lists of a million tasks by what no other index leads to.
CREATE INDEX tasks_by_priority ON tasks (priority, id);
CREATE INDEX tasks_by_update ON tasks (updated_at);

-- Who is sent events over HTTP. Address and secrets are sealed with the vault's key.
CREATE TABLE webhooks (
  id              text PRIMARY KEY,
  host            text NOT NULL,
  description     text NOT NULL,
  -- Names of types, or `task.*`, or `*`.
  types           jsonb NOT NULL,
  -- NULL for the events of every project and of none.
  project_id      text REFERENCES projects,
  sealed          bytea NOT NULL,
  key_id          text NOT NULL,
  -- Until when the secret before the present one signs as well.
  rotating_until  timestamptz,
  status          text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
  disabled_reason text,
  -- Since when every try has failed; NULL where the last one was taken.
  failing_since   timestamptz,
  version         integer NOT NULL DEFAULT 1,
  created_by      text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhooks_disabled_says_why CHECK ((status = 'disabled') = (disabled_reason IS NOT NULL))
);

-- How far the log has been read for them; moved in the transaction that enqueues what was found.
CREATE TABLE webhook_cursor (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  sequence bigint NOT NULL
);
INSERT INTO webhook_cursor (sequence) SELECT coalesce(max(sequence), 0) FROM events;

CREATE TABLE webhook_deliveries (
  -- The `webhook-id`, the same at every try.
  id          text PRIMARY KEY,
  webhook_id  text NOT NULL REFERENCES webhooks ON DELETE CASCADE,
  sequence    bigint NOT NULL,
  type        text NOT NULL,
  status      text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'delivered', 'dead')),
  attempts    integer NOT NULL DEFAULT 0,
  -- Tries since it was enqueued or last given again.
  tries       integer NOT NULL DEFAULT 0,
  http_status integer,
  error       text,
  next_at     timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now(),
  ended_at    timestamptz,
  -- One event is sent under one id to each.
  UNIQUE (webhook_id, sequence)
);
CREATE INDEX webhook_deliveries_of_hook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_open ON webhook_deliveries (status, id) WHERE status <> 'delivered';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE status <> 'waiting';
