-- One-time links that begin a page's session, and the sessions; both are stored by SHA-256 only.
CREATE TABLE login_links (
  hash         bytea PRIMARY KEY,
  principal_id text NOT NULL REFERENCES principals,
  expires_at   timestamptz NOT NULL
);

CREATE TABLE sessions (
  hash         bytea PRIMARY KEY,
  principal_id text NOT NULL REFERENCES principals,
  csrf         text NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL
);
