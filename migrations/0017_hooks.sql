-- Doors at which others give tasks: each request is signed by a secret that is sealed with the vault's key.
CREATE TABLE hooks (
  id             text PRIMARY KEY,
  name           text NOT NULL,
  project_id     text NOT NULL REFERENCES projects,
  scheme         text NOT NULL CHECK (scheme IN ('standard-webhooks', 'github')),
  title          text NOT NULL,
  instructions   text NOT NULL,
  -- Fields of what is sent with the values that they may have: other deliveries make no task.
  only_if        jsonb NOT NULL,
  -- What else its tasks are given; contract/hooks.ts says what it holds.
  task           jsonb NOT NULL,
  sealed         bytea NOT NULL,
  key_id         text NOT NULL,
  -- Until when the secret before the present one is good as well.
  rotating_until timestamptz,
  status         text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
  version        integer NOT NULL DEFAULT 1,
  created_by     text NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT hooks_name UNIQUE (name)
);

CREATE TABLE hook_deliveries (
  id          text PRIMARY KEY,
  hook_id     text NOT NULL REFERENCES hooks ON DELETE CASCADE,
  status      text NOT NULL CHECK (status IN ('accepted', 'ignored', 'refused')),
  -- The sender's identifier, and the SHA-256 of the body; of what was refused neither is believed.
  sender_key  text,
  body_hash   bytea,
  -- The hash once more where no signature covers the identifier: the same body under another one is a replay.
  replay_hash bytea,
  reason      text,
  -- Refusals of one minute for one reason are one row.
  times       integer NOT NULL DEFAULT 1,
  minute      timestamptz,
  task_id     text REFERENCES tasks,
  at          timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT hook_deliveries_says_what CHECK (CASE status
    WHEN 'refused' THEN reason IS NOT NULL AND minute IS NOT NULL AND sender_key IS NULL AND task_id IS NULL
    ELSE sender_key IS NOT NULL AND body_hash IS NOT NULL AND minute IS NULL END)
);
-- One delivery has one effect.
CREATE UNIQUE INDEX hook_deliveries_once ON hook_deliveries (hook_id, sender_key) WHERE sender_key IS NOT NULL;
CREATE UNIQUE INDEX hook_deliveries_replays ON hook_deliveries (hook_id, replay_hash) WHERE replay_hash IS NOT NULL;
CREATE UNIQUE INDEX hook_deliveries_refusals ON hook_deliveries (hook_id, reason, minute) WHERE status = 'refused';
CREATE INDEX hook_deliveries_of_hook ON hook_deliveries (hook_id, id);
CREATE INDEX hook_deliveries_refused_at ON hook_deliveries (at) WHERE status = 'refused';
