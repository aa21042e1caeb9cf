-- +goose Up
-- What replicas tell one another of the sessions of their clients. An id is a
-- hash: the session's own is known to its client alone.

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  note TEXT NOT NULL,
  changed_at BIGINT NOT NULL
);

CREATE INDEX sessions_by_change ON sessions (changed_at);
