-- Where in the repository a task's checks and set-up run; NULL for its root.
ALTER TABLE tasks
  ADD COLUMN folder   text,
  -- Services that the checks need, by name.
  ADD COLUMN services jsonb;

-- Files that were given with a task, in their order.
CREATE TABLE task_attachments (
  task_id     text NOT NULL REFERENCES tasks,
  position    integer NOT NULL,
  artifact_id text NOT NULL REFERENCES artifacts,
  PRIMARY KEY (task_id, position)
);

ALTER TABLE runs
  DROP CONSTRAINT runs_kind_check,
  ADD CONSTRAINT runs_kind_check CHECK (kind IN ('task', 'merge', 'revert', 'push'));
