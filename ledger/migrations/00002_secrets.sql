-- +goose Up
-- Secrets that the processes of one ledger share. None is a key of Fullstory.

CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
