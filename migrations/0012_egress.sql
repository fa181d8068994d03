-- Where agents' commands may connect to; an agent has its own list and that of the project that it works on.
CREATE TABLE egress_lists (
  scope      text NOT NULL CHECK (scope IN ('agent', 'project')),
  scope_id   text NOT NULL,
  presets    jsonb NOT NULL,
  rules      jsonb NOT NULL,
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (scope, scope_id)
);

-- Every request that left a sandbox, or wanted to. No query, header or body; a name or path that held a piece of a
-- secret is withheld.
CREATE TABLE egress_requests (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id         text NOT NULL REFERENCES runs,
  agent_id       text NOT NULL REFERENCES agents,
  host           text NOT NULL,
  port           integer NOT NULL,
  method         text NOT NULL,
  path           text NOT NULL,
  decision       text NOT NULL CHECK (decision IN ('allowed', 'refused', 'stopped')),
  reason         text,
  -- The name of what was kept from leaving, and of what was added.
  secret         text,
  credential     text,
  status         integer,
  sent_bytes     bigint NOT NULL,
  received_bytes bigint NOT NULL,
  at             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX egress_requests_of_run ON egress_requests (run_id, id);
CREATE INDEX egress_requests_of_agent ON egress_requests (agent_id, host);
CREATE INDEX egress_requests_by_time ON egress_requests (at);

-- Secrets that the egress proxy adds at the edge, for one host each; sealed with the vault's key.
CREATE TABLE brokered_credentials (
  name         text PRIMARY KEY,
  host         text NOT NULL,
  port         integer NOT NULL,
  header       text NOT NULL,
  insecure     boolean NOT NULL,
  sealed       bytea NOT NULL,
  key_id       text NOT NULL,
  created_by   text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  rotated_at   timestamptz,
  last_used_at timestamptz
);

CREATE TABLE credential_grants (
  credential text NOT NULL REFERENCES brokered_credentials ON DELETE CASCADE,
  agent_id   text NOT NULL REFERENCES agents,
  scope      text NOT NULL CHECK (scope IN ('read', 'write')),
  expires_at timestamptz,
  granted_by text NOT NULL,
  granted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (credential, agent_id)
);
CREATE INDEX credential_grants_of_agent ON credential_grants (agent_id);

-- The vault's keys where HashiCorp Vault keeps the key above them: only it can open these. The newest seals.
CREATE TABLE wrapped_vault_keys (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  wrapped_by text NOT NULL,
  ciphertext text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
