-- +goose Up
-- Processes that are candidates for leases, on PostgreSQL. A row is removed after its
-- process has ended. accounts is a JSON array of the accounts whose leases it takes.

CREATE TABLE processes (
  id TEXT PRIMARY KEY,
  seen_at BIGINT NOT NULL,
  accounts TEXT NOT NULL
);
