-- +goose Up
-- The state of clients' sessions that replicas share. An id is a hash: only the client
-- knows the id of its session.

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  note TEXT NOT NULL,
  changed_at BIGINT NOT NULL
);

CREATE INDEX sessions_by_change ON sessions (changed_at);
