-- +goose Up
-- Who requested which export, when, and with what result. Rows are only added.
-- once, where it is set, is a key that at most one row of an account has.

CREATE TABLE audit (
  id TEXT PRIMARY KEY,
  at BIGINT NOT NULL,
  account TEXT NOT NULL,
  caller TEXT NOT NULL,
  event TEXT NOT NULL,
  bulk TEXT NOT NULL,
  export TEXT NOT NULL,
  operation TEXT NOT NULL,
  request TEXT NOT NULL,
  detail TEXT NOT NULL,
  once TEXT,
  UNIQUE (account, once)
);

CREATE INDEX audit_by_time ON audit (at, id);

ALTER TABLE bulks ADD COLUMN asked_by TEXT NOT NULL DEFAULT '';
ALTER TABLE exports ADD COLUMN asked_by TEXT NOT NULL DEFAULT '';

-- The W3C traceparent of the call that requested an export; empty: none.
ALTER TABLE exports ADD COLUMN trace TEXT NOT NULL DEFAULT '';
ALTER TABLE bulks ADD COLUMN trace TEXT NOT NULL DEFAULT '';
