-- +goose Up
-- Secrets that the processes of one ledger share. No API key is among them.

CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
