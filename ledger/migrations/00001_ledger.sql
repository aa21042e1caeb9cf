-- +goose Up
-- The same statements run on SQLite and PostgreSQL. Instants are microseconds since
-- 1970, 0 means "not yet"; JSON is text. Later migrations rename and join some tables.

CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  bucket TEXT NOT NULL DEFAULT '',
  exports_window TEXT NOT NULL DEFAULT ''
);

CREATE TABLE keys (
  hash TEXT PRIMARY KEY,
  account TEXT NOT NULL
);

CREATE TABLE leaders (
  account TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  until_at BIGINT NOT NULL
);

CREATE TABLE bulks (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  request TEXT NOT NULL,
  chunk TEXT NOT NULL,
  max_in_flight BIGINT NOT NULL,
  settle BIGINT NOT NULL,
  now_given BIGINT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  finished_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  UNIQUE (account, name)
);

CREATE TABLE chunks (
  bulk TEXT NOT NULL,
  number BIGINT NOT NULL,
  start_at BIGINT NOT NULL,
  end_at BIGINT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  export TEXT NOT NULL,
  error TEXT NOT NULL,
  row_count BIGINT NOT NULL,
  byte_count BIGINT NOT NULL,
  stored_at BIGINT NOT NULL,
  provisional BIGINT NOT NULL,
  PRIMARY KEY (bulk, number)
);

-- The counts of a bulk export are read from this index alone.
CREATE INDEX chunks_by_state ON chunks (bulk, state, start_at, provisional, row_count, byte_count);
CREATE INDEX chunks_by_time ON chunks (bulk, stored_at);
CREATE INDEX chunks_by_start ON chunks (bulk, start_at, number);

CREATE TABLE exports (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  bulk TEXT NOT NULL,
  number BIGINT NOT NULL,
  fingerprint TEXT NOT NULL,
  request TEXT NOT NULL,
  state TEXT NOT NULL,
  operation TEXT NOT NULL,
  candidates TEXT NOT NULL,
  search_export TEXT NOT NULL,
  asked_at BIGINT NOT NULL,
  intent_at BIGINT NOT NULL,
  looked_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  finished_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  error TEXT NOT NULL
);

CREATE INDEX exports_by_state ON exports (account, state, asked_at);
CREATE INDEX exports_by_operation ON exports (account, operation);
CREATE INDEX exports_by_fingerprint ON exports (account, fingerprint, created_at);

CREATE TABLE files (
  account TEXT NOT NULL,
  folder TEXT NOT NULL,
  name TEXT NOT NULL,
  bulk TEXT NOT NULL,
  number BIGINT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (account, folder, name)
);

CREATE INDEX files_by_bulk ON files (bulk, number);
