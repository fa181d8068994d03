-- A project is a repository, or a body of work without one.
ALTER TABLE projects
  ALTER COLUMN location DROP NOT NULL,
  DROP CONSTRAINT projects_location_key,
  ADD COLUMN description     text NOT NULL DEFAULT '',
  -- What its tasks are checked with and prepared by, where they say nothing themselves.
  ADD COLUMN checks          jsonb,
  ADD COLUMN setup           jsonb,
  -- False: what is done is completed without a person's look.
  ADD COLUMN review_required boolean NOT NULL DEFAULT true,
  ADD COLUMN metadata        jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN version         integer NOT NULL DEFAULT 1,
  ADD COLUMN updated_at      timestamptz NOT NULL DEFAULT now(),
  -- Deleted: kept because the log refers to it.
  ADD COLUMN archived_at     timestamptz;
CREATE UNIQUE INDEX projects_location ON projects (location) WHERE archived_at IS NULL;
CREATE INDEX projects_by_name ON projects (name);

-- `builtin`: our own loop works as it. `foreign`: a program elsewhere that claims tasks over the API.
ALTER TABLE agents
  ADD COLUMN runtime           text NOT NULL DEFAULT 'builtin' CHECK (runtime IN ('builtin', 'foreign')),
  ADD COLUMN skills            text[] NOT NULL DEFAULT '{}',
  -- The most that it works on at once; NULL: as many as the workers take.
  ADD COLUMN capacity          integer CHECK (capacity > 0),
  ADD COLUMN heartbeat_seconds integer CHECK (heartbeat_seconds > 0),
  ADD COLUMN online            boolean NOT NULL DEFAULT false,
  ADD COLUMN last_seen_at      timestamptz,
  ADD COLUMN suspended_at      timestamptz,
  ADD COLUMN suspended_by      text,
  ADD COLUMN metadata          jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN version           integer NOT NULL DEFAULT 1,
  ADD COLUMN updated_at        timestamptz NOT NULL DEFAULT now(),
  ADD CONSTRAINT agents_foreign_ones_beat CHECK
    (runtime = 'builtin' OR (heartbeat_seconds IS NOT NULL AND capacity IS NOT NULL)),
  ADD CONSTRAINT agents_suspended_by_somebody CHECK ((suspended_at IS NULL) = (suspended_by IS NULL));

ALTER TABLE tasks
  ADD COLUMN parent_id         text REFERENCES tasks,
  -- NULL: whoever claims it.
  ADD COLUMN assignee_id       text REFERENCES agents,
  -- How our own loop is to run it; NULL where agents claim it.
  ADD COLUMN plan              jsonb,
  ADD COLUMN deadline          timestamptz,
  ADD COLUMN required_skills   text[] NOT NULL DEFAULT '{}',
  ADD COLUMN metadata          jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN result            jsonb,
  -- True where its holder says that it is done and no check proves it.
  ADD COLUMN attested          boolean NOT NULL DEFAULT false,
  -- Since when an agent may claim it; NULL where none may.
  ADD COLUMN ready_at          timestamptz,
  -- Of the newest claim; only ever rises.
  ADD COLUMN lease_token       bigint NOT NULL DEFAULT 0,
  -- Leases in a row that ended by their holder's silence.
  ADD COLUMN lost_leases       integer NOT NULL DEFAULT 0,
  -- How many tasks depend on it, and on how many that are not completed it depends: on the row, so that two
  -- completions at once cannot miss one another.
  ADD COLUMN dependents        integer NOT NULL DEFAULT 0 CHECK (dependents >= 0),
  ADD COLUMN open_dependencies integer NOT NULL DEFAULT 0 CHECK (open_dependencies >= 0),
  ADD COLUMN priority_rank     smallint NOT NULL GENERATED ALWAYS AS
    (CASE priority WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END) STORED,
  ADD COLUMN version           integer NOT NULL DEFAULT 1,
  ADD CONSTRAINT tasks_ready_ones_are_pending CHECK
    (ready_at IS NULL OR (status = 'pending' AND open_dependencies = 0 AND waiting IS NOT NULL)),
  ADD CONSTRAINT tasks_dependent_ones_say_so CHECK
    (status <> 'pending' OR open_dependencies = 0 OR waiting IS NOT NULL),
  ADD CONSTRAINT tasks_not_their_own_parent CHECK (parent_id <> id);
DROP INDEX tasks_open;
CREATE INDEX tasks_open ON tasks (id) WHERE status NOT IN ('completed', 'failed', 'cancelled');
CREATE INDEX tasks_claimable ON tasks (priority_rank, id) WHERE ready_at IS NOT NULL;
-- The others are found among the open ones, and among all.
CREATE INDEX tasks_by_status ON tasks (status, id) WHERE status NOT IN ('pending', 'completed');
CREATE INDEX tasks_of_project ON tasks (project_id, id);
CREATE INDEX tasks_open_of_project ON tasks (project_id) WHERE status NOT IN ('completed', 'failed', 'cancelled');
CREATE INDEX tasks_of_parent ON tasks (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_of_assignee ON tasks (assignee_id, id) WHERE assignee_id IS NOT NULL;

UPDATE tasks SET assignee_id = (SELECT agent_id FROM runs
  WHERE runs.task_id = tasks.id AND runs.kind = 'task' ORDER BY runs.id DESC LIMIT 1);

-- What is searched, beside the task: its row changes with every step of the work, its words hardly ever.
CREATE TABLE task_texts (
  task_id  text PRIMARY KEY REFERENCES tasks,
  document tsvector NOT NULL
);
CREATE INDEX task_texts_search ON task_texts USING gin (document);
INSERT INTO task_texts (task_id, document)
  SELECT id, to_tsvector('english', title || ' ' || left(instructions, 200000)) FROM tasks;

CREATE TABLE task_dependencies (
  task_id    text NOT NULL REFERENCES tasks,
  depends_on text NOT NULL REFERENCES tasks,
  PRIMARY KEY (task_id, depends_on),
  CONSTRAINT task_dependencies_not_itself CHECK (task_id <> depends_on)
);
CREATE INDEX task_dependencies_back ON task_dependencies (depends_on);

ALTER TABLE runs
  DROP CONSTRAINT runs_kind_check,
  ADD CONSTRAINT runs_kind_check CHECK (kind IN ('task', 'merge', 'revert', 'push', 'external')),
  -- Which of its agent's places a claim takes: so no agent holds more than its capacity.
  ADD COLUMN slot integer,
  -- It is paused because its agent is suspended.
  ADD COLUMN suspended boolean NOT NULL DEFAULT false,
  ADD CONSTRAINT runs_external_ones_have_a_place CHECK ((kind = 'external') = (slot IS NOT NULL)),
  -- No worker of ours drives what a foreign agent holds.
  ADD CONSTRAINT runs_external_ones_are_not_driven CHECK (kind <> 'external' OR wake_at IS NULL);
CREATE UNIQUE INDEX runs_slots ON runs (agent_id, slot) WHERE kind = 'external' AND ended_at IS NULL;
