-- Whom to tell outside of the product. Address and secrets are sealed with the vault's key.
CREATE TABLE notifications (
  name       text PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('webhook', 'ntfy', 'slack', 'discord')),
  host       text NOT NULL,
  topics     jsonb NOT NULL,
  signed     boolean NOT NULL,
  sealed     bytea NOT NULL,
  key_id     text NOT NULL,
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- How far the log has been read for them; moved in the transaction that enqueues what was found.
CREATE TABLE notification_cursor (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  sequence bigint NOT NULL
);
INSERT INTO notification_cursor (sequence) SELECT coalesce(max(sequence), 0) FROM events;

CREATE TABLE notification_deliveries (
  id           text PRIMARY KEY,
  notification text NOT NULL,
  event_id     text NOT NULL,
  topic        text NOT NULL,
  message      jsonb NOT NULL,
  status       text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'delivered', 'dead')),
  attempts     integer NOT NULL DEFAULT 0,
  error        text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  ended_at     timestamptz,
  -- One event is told once to each.
  UNIQUE (notification, event_id)
);
CREATE INDEX notification_deliveries_open ON notification_deliveries (status, created_at) WHERE status <> 'delivered';

-- Who takes jobs; a dead one's jobs are freed at the next start.
CREATE TABLE job_workers (
  id         text PRIMARY KEY,
  process    text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now()
);
