-- Secrets, sealed with a key that the database does not hold.
CREATE TABLE credentials (
  name       text PRIMARY KEY,
  sealed     bytea NOT NULL,
  -- Tells which vault key opens it; says nothing of the key.
  key_id     text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Where models are called, beside the providers that the environment names.
CREATE TABLE providers (
  name                text PRIMARY KEY,
  kind                text NOT NULL CHECK (kind IN ('anthropic', 'openai', 'google', 'openai-compatible')),
  base_url            text,
  credential          text REFERENCES credentials,
  requests_per_minute integer CHECK (requests_per_minute > 0),
  updated_by          text NOT NULL,
  updated_at          timestamptz NOT NULL DEFAULT now()
);

-- What people say a model costs, in US dollars for a million tokens: the newest row holds, the older ones stay.
CREATE TABLE model_prices (
  id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model             text NOT NULL,
  as_of             date NOT NULL,
  input             double precision NOT NULL CHECK (input >= 0),
  cached_input      double precision NOT NULL CHECK (cached_input >= 0),
  cache_write       double precision CHECK (cache_write >= 0),
  output            double precision NOT NULL CHECK (output >= 0),
  context_tokens    integer,
  max_output_tokens integer,
  set_by            text NOT NULL,
  set_at            timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX model_prices_newest ON model_prices (model, id DESC);

-- One row a provider, shared by all runs and processes: until when nobody calls it, and the next free place.
CREATE TABLE provider_paces (
  provider      text PRIMARY KEY,
  blocked_until timestamptz NOT NULL DEFAULT 'epoch',
  reason        text NOT NULL DEFAULT '',
  next_place    timestamptz NOT NULL DEFAULT 'epoch'
);

-- A run's place in the row of those who wait for a provider.
CREATE TABLE provider_places (
  run_id   text PRIMARY KEY REFERENCES runs,
  provider text NOT NULL,
  at       timestamptz NOT NULL
);

-- Models that a run goes on with, in this order, where its own cannot be used.
ALTER TABLE agents ADD COLUMN fallback_models jsonb NOT NULL DEFAULT '[]';
