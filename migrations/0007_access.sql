-- What a principal sees and may do, and how it proves who it is.
ALTER TABLE principals
  -- False: only the projects of principal_projects.
  ADD COLUMN all_projects boolean NOT NULL DEFAULT true,
  ADD COLUMN disabled_at timestamptz,
  -- Argon2id, as a PHC string; null where there is no password.
  ADD COLUMN password text,
  ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
  -- What decides is never an agent.
  ADD CONSTRAINT principals_agents_are_agents CHECK (kind <> 'agent' OR role = 'agent');

CREATE TABLE principal_projects (
  principal_id text NOT NULL REFERENCES principals ON DELETE CASCADE,
  project_id   text NOT NULL REFERENCES projects ON DELETE CASCADE,
  PRIMARY KEY (principal_id, project_id)
);
CREATE INDEX principal_projects_of_project ON principal_projects (project_id);

-- Null is all that the principal has; a key never has more than its principal.
ALTER TABLE api_keys
  ADD COLUMN scopes text[],
  ADD COLUMN projects text[],
  ADD COLUMN created_by text,
  -- The key of the same principal with which this one was made: it falls with it.
  ADD COLUMN parent_id text REFERENCES api_keys,
  ADD COLUMN expires_at timestamptz,
  -- To the minute.
  ADD COLUMN last_used_at timestamptz;
CREATE INDEX api_keys_of_principal ON api_keys (principal_id);
CREATE INDEX api_keys_of_parent ON api_keys (parent_id) WHERE parent_id IS NOT NULL;

-- Sessions get a name that is no secret; the old ones end.
DELETE FROM sessions;
ALTER TABLE sessions
  ADD COLUMN id text NOT NULL UNIQUE,
  -- To the minute; a session that rests too long ends before expires_at.
  ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();

-- Who signs: the same key in every process.
CREATE TABLE signing_keys (
  purpose text PRIMARY KEY,
  key     bytea NOT NULL
);
