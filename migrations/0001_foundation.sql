-- Who acts, and by which keys.
CREATE TABLE principals (
  id         text PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('human', 'agent', 'service')),
  name       text NOT NULL UNIQUE,
  role       text NOT NULL CHECK (role IN ('admin', 'operator', 'viewer', 'agent')),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
  id           text PRIMARY KEY,
  principal_id text NOT NULL REFERENCES principals,
  hash         bytea NOT NULL UNIQUE,
  -- What the key is for; a machine's own key is replaced at each start of its server.
  label        text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  revoked_at   timestamptz
);

-- An agent is a principal with a profile; both rows carry the same id.
CREATE TABLE agents (
  id         text PRIMARY KEY REFERENCES principals,
  name       text NOT NULL UNIQUE,
  role       text NOT NULL,
  prompt     text NOT NULL,
  model      text NOT NULL,
  playbook   text NOT NULL,
  policy     jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE projects (
  id         text PRIMARY KEY,
  name       text NOT NULL,
  location   text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tasks (
  id           text PRIMARY KEY,
  project_id   text NOT NULL REFERENCES projects,
  title        text NOT NULL,
  instructions text NOT NULL,
  priority     text NOT NULL CHECK (priority IN ('low', 'medium', 'high', 'critical')),
  status       text NOT NULL CHECK (status IN
    ('pending', 'in_progress', 'blocked', 'in_review', 'completed', 'failed', 'cancelled')),
  waiting      jsonb,
  branch       text,
  checks       jsonb,
  setup        jsonb,
  created_by   text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT tasks_no_nameless_wait CHECK (status NOT IN ('blocked', 'in_review') OR waiting IS NOT NULL)
);
CREATE INDEX tasks_open ON tasks (created_at) WHERE status NOT IN ('completed', 'failed', 'cancelled');

-- One attempt. wake_at and wake_count are the queue; worker_id, lease_token and heartbeat the lease.
CREATE TABLE runs (
  id            text PRIMARY KEY,
  kind          text NOT NULL CHECK (kind IN ('task', 'merge')),
  task_id       text NOT NULL REFERENCES tasks,
  agent_id      text NOT NULL REFERENCES agents,
  change_id     text,
  model         text NOT NULL,
  status        text NOT NULL CHECK (status IN
    ('queued', 'running', 'waiting', 'paused', 'succeeded', 'failed', 'stopped')),
  control       text NOT NULL DEFAULT 'go' CHECK (control IN ('go', 'pause', 'stop')),
  phase         text NOT NULL DEFAULT 'queued',
  waiting       jsonb,
  outcome       text,
  wake_at       timestamptz,
  wake_count    bigint NOT NULL DEFAULT 0,
  worker_id     text,
  -- How the last holder walled its commands in; shown for as long as the run is.
  sandbox       text,
  lease_token   bigint NOT NULL DEFAULT 0,
  lease_seconds integer NOT NULL DEFAULT 15,
  heartbeat     bigint NOT NULL DEFAULT 0,
  -- Workers that died or threw on this run without a step of progress between; too many end it.
  failures      integer NOT NULL DEFAULT 0,
  failed_at_seq integer NOT NULL DEFAULT 0,
  created_at    timestamptz NOT NULL DEFAULT now(),
  started_at    timestamptz,
  ended_at      timestamptz,
  CONSTRAINT runs_running_holds_a_lease CHECK ((status = 'running') = (worker_id IS NOT NULL)),
  CONSTRAINT runs_no_nameless_wait CHECK (status NOT IN ('queued', 'waiting', 'paused') OR waiting IS NOT NULL),
  CONSTRAINT runs_end_once CHECK ((status IN ('succeeded', 'failed', 'stopped')) = (ended_at IS NOT NULL))
);
CREATE INDEX runs_due ON runs (wake_at) WHERE wake_at IS NOT NULL AND worker_id IS NULL;
CREATE INDEX runs_held ON runs (worker_id) WHERE worker_id IS NOT NULL;
CREATE INDEX runs_of_task ON runs (task_id);
-- A task is worked on by one live run of a kind at a time.
CREATE UNIQUE INDEX runs_one_live ON runs (task_id, kind) WHERE ended_at IS NULL;

CREATE TABLE steps (
  -- Its run exists: every write selects and locks that row in the same statement, and no run is ever deleted.
  run_id      text NOT NULL,
  seq         integer NOT NULL,
  kind        text NOT NULL CHECK (kind IN
    ('model', 'tool', 'ask', 'guidance', 'phase', 'compaction', 'check', 'note')),
  name        text NOT NULL,
  status      text NOT NULL CHECK (status IN ('intended', 'done', 'failed', 'in_doubt')),
  lease_token bigint NOT NULL,
  intent      jsonb NOT NULL,
  result      jsonb,
  error       jsonb,
  usage       jsonb,
  cost_micros bigint,
  snapshot    text,
  started_at  timestamptz NOT NULL DEFAULT now(),
  ended_at    timestamptz,
  PRIMARY KEY (run_id, seq)
);
-- A run does one thing at a time; a second open intent is refused by the database.
CREATE UNIQUE INDEX steps_one_open ON steps (run_id) WHERE status = 'intended';
-- A tool call has one result.
CREATE UNIQUE INDEX steps_one_result ON steps (run_id, (intent ->> 'modelSeq'), (intent ->> 'callId'))
  WHERE kind = 'tool' AND status <> 'in_doubt';

-- What people say to a run; it becomes a guidance step when the run reads it.
CREATE TABLE messages (
  id         text PRIMARY KEY,
  run_id     text NOT NULL REFERENCES runs,
  sender     text NOT NULL,
  text       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  read_at    timestamptz
);
CREATE INDEX messages_unread ON messages (run_id, id) WHERE read_at IS NULL;

CREATE TABLE asks (
  id               text PRIMARY KEY,
  run_id           text NOT NULL REFERENCES runs,
  task_id          text NOT NULL REFERENCES tasks,
  kind             text NOT NULL CHECK (kind IN ('approval', 'clarification', 'proposal')),
  question         text NOT NULL,
  detail           jsonb NOT NULL,
  action_hash      text NOT NULL,
  owner            text NOT NULL,
  deadline         timestamptz NOT NULL,
  default_decision text NOT NULL DEFAULT 'deny' CHECK (default_decision IN ('approve', 'deny')),
  status           text NOT NULL CHECK (status IN ('open', 'decided', 'expired', 'withdrawn')),
  decision         text CHECK (decision IN ('approve', 'deny', 'answer')),
  answer           text,
  decided_by       text,
  decided_at       timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX asks_open ON asks (deadline) WHERE status = 'open';
CREATE INDEX asks_of_run ON asks (run_id);

CREATE TABLE changes (
  id            text PRIMARY KEY,
  task_id       text NOT NULL REFERENCES tasks,
  run_id        text NOT NULL REFERENCES runs,
  title         text NOT NULL,
  description   text NOT NULL,
  base_commit   text NOT NULL,
  commit        text NOT NULL,
  target_branch text NOT NULL,
  status        text NOT NULL CHECK (status IN ('draft', 'ready', 'sent_back', 'merged', 'reverted', 'closed')),
  receipt       jsonb NOT NULL,
  merged_commit text,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX changes_of_task ON changes (task_id);

CREATE TABLE artifacts (
  id         text PRIMARY KEY,
  hash       text NOT NULL,
  size       bigint NOT NULL,
  media_type text NOT NULL,
  name       text NOT NULL,
  run_id     text REFERENCES runs,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX artifacts_by_hash ON artifacts (hash);

-- Money in millionths of a US dollar. A limit of NULL is none.
CREATE TABLE budgets (
  id              text PRIMARY KEY,
  scope           text NOT NULL CHECK (scope IN ('run', 'task', 'agent', 'project', 'day')),
  scope_key       text NOT NULL,
  limit_tokens    bigint,
  limit_micros    bigint,
  spent_tokens    bigint NOT NULL DEFAULT 0,
  spent_micros    bigint NOT NULL DEFAULT 0,
  reserved_tokens bigint NOT NULL DEFAULT 0 CHECK (reserved_tokens >= 0),
  reserved_micros bigint NOT NULL DEFAULT 0 CHECK (reserved_micros >= 0),
  UNIQUE (scope, scope_key)
);

CREATE TABLE reservations (
  run_id    text NOT NULL,
  seq       integer NOT NULL,
  budget_id text NOT NULL REFERENCES budgets,
  tokens    bigint NOT NULL,
  micros    bigint NOT NULL,
  PRIMARY KEY (run_id, seq, budget_id)
);

CREATE TABLE timers (
  id         text PRIMARY KEY,
  due_at     timestamptz NOT NULL,
  kind       text NOT NULL,
  ref        text NOT NULL,
  UNIQUE (kind, ref)
);
CREATE INDEX timers_due ON timers (due_at);

CREATE TABLE workers (
  id         text PRIMARY KEY,
  host       text NOT NULL,
  pid        integer NOT NULL,
  -- Boot, pid namespace, pid and start time: tells on the same machine whether the process still lives.
  process    text NOT NULL,
  sandbox    text NOT NULL,
  heartbeat  bigint NOT NULL DEFAULT 0,
  started_at timestamptz NOT NULL DEFAULT now()
);

-- What happened, before it has its number: hot transactions insert here and notify nobody.
CREATE TABLE event_outbox (
  position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id          text NOT NULL,
  type        text NOT NULL,
  entity_type text NOT NULL,
  entity_id   text NOT NULL,
  task_id     text,
  run_id      text,
  actor       text NOT NULL,
  data        jsonb NOT NULL,
  time        timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp())
);

-- The log: numbered without gaps and chained by the sequencer, never changed.
CREATE TABLE events (
  sequence    bigint PRIMARY KEY,
  id          text NOT NULL UNIQUE,
  type        text NOT NULL,
  entity_type text NOT NULL,
  entity_id   text NOT NULL,
  task_id     text,
  run_id      text,
  actor       text NOT NULL,
  data        jsonb NOT NULL,
  time        timestamptz NOT NULL,
  hash        text NOT NULL
);
CREATE INDEX events_of_run ON events (run_id, sequence) WHERE run_id IS NOT NULL;
CREATE INDEX events_of_task ON events (task_id, sequence) WHERE task_id IS NOT NULL;

CREATE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the event log is append-only';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_event_change();
