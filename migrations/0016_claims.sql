-- PostgreSQL reads a CHECK anew in every statement that writes the table, and one of a domain only where such a value is
-- written. Words that a column may hold are therefore domains here, and what columns say of one another is said in few
-- words.
CREATE DOMAIN task_status AS text CHECK (VALUE IN
  ('pending', 'in_progress', 'blocked', 'in_review', 'completed', 'failed', 'cancelled'));
CREATE DOMAIN task_priority AS text CHECK (VALUE IN ('low', 'medium', 'high', 'critical'));
CREATE DOMAIN amount AS integer CHECK (VALUE >= 0);
CREATE DOMAIN run_kind AS text CHECK (VALUE IN ('task', 'merge', 'revert', 'push', 'external'));
CREATE DOMAIN run_status AS text CHECK (VALUE IN
  ('queued', 'running', 'waiting', 'paused', 'succeeded', 'failed', 'stopped'));
CREATE DOMAIN run_control AS text CHECK (VALUE IN ('go', 'pause', 'stop'));
CREATE DOMAIN step_kind AS text CHECK (VALUE IN
  ('model', 'tool', 'ask', 'guidance', 'phase', 'compaction', 'check', 'note'));
CREATE DOMAIN step_status AS text CHECK (VALUE IN ('intended', 'done', 'failed', 'in_doubt'));

ALTER TABLE tasks
  -- A generated column is read anew in every statement as well; the order of claims needs it in its index alone.
  DROP COLUMN priority_rank,
  DROP CONSTRAINT tasks_status_check,
  DROP CONSTRAINT tasks_priority_check,
  DROP CONSTRAINT tasks_dependents_check,
  DROP CONSTRAINT tasks_open_dependencies_check,
  DROP CONSTRAINT tasks_no_nameless_wait,
  DROP CONSTRAINT tasks_ready_ones_are_pending,
  DROP CONSTRAINT tasks_dependent_ones_say_so;
ALTER TABLE tasks
  ALTER COLUMN status TYPE task_status,
  ALTER COLUMN priority TYPE task_priority,
  ALTER COLUMN dependents TYPE amount,
  ALTER COLUMN open_dependencies TYPE amount,
  -- What stands in the way, or is ready for whoever claims it, or depends on others, says what it waits for.
  ADD CONSTRAINT tasks_no_nameless_wait CHECK (waiting IS NOT NULL OR
    (ready_at IS NULL AND status <> ALL ('{blocked,in_review}') AND (open_dependencies = 0 OR status <> 'pending'))),
  ADD CONSTRAINT tasks_ready_ones_are_pending CHECK
    (ready_at IS NULL OR (status = 'pending' AND open_dependencies = 0));
CREATE INDEX tasks_claimable ON tasks
  ((CASE priority WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END), id)
  WHERE ready_at IS NOT NULL;

DROP TRIGGER runs_version ON runs;
ALTER TABLE runs
  DROP CONSTRAINT runs_kind_check,
  DROP CONSTRAINT runs_status_check,
  DROP CONSTRAINT runs_control_check,
  DROP CONSTRAINT runs_running_holds_a_lease,
  DROP CONSTRAINT runs_no_nameless_wait,
  DROP CONSTRAINT runs_end_once,
  DROP CONSTRAINT runs_external_ones_are_not_driven;
ALTER TABLE runs
  ALTER COLUMN kind TYPE run_kind,
  ALTER COLUMN status TYPE run_status,
  ALTER COLUMN control TYPE run_control,
  -- It has ended, or somebody runs it, or it says what it waits for.
  ADD CONSTRAINT runs_no_nameless_wait CHECK (CASE
    WHEN ended_at IS NOT NULL THEN worker_id IS NULL AND status = ANY ('{succeeded,failed,stopped}')
    WHEN worker_id IS NOT NULL THEN status = 'running'
    ELSE waiting IS NOT NULL AND status = ANY ('{queued,waiting,paused}') END),
  -- What has a place is a foreign agent's: no worker of ours drives it.
  ADD CONSTRAINT runs_external_ones_are_not_driven CHECK (slot IS NULL OR wake_at IS NULL);
CREATE TRIGGER runs_version BEFORE UPDATE OF status, control ON runs FOR EACH ROW
  WHEN (OLD.slot IS NULL AND (OLD.status <> NEW.status OR OLD.control <> NEW.control))
  EXECUTE FUNCTION raise_version();

ALTER TABLE steps
  DROP CONSTRAINT steps_kind_check,
  DROP CONSTRAINT steps_status_check;
ALTER TABLE steps
  ALTER COLUMN kind TYPE step_kind,
  ALTER COLUMN status TYPE step_status;
