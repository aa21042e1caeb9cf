-- +goose Up
-- Bulk exports that are kept up to date. A sync adds windows to its present bulk export, which
-- names it in sync_id; each window once.

CREATE TABLE syncs (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  bulk TEXT NOT NULL,
  generation BIGINT NOT NULL,
  request TEXT NOT NULL,
  segment_name TEXT NOT NULL,
  chunk TEXT NOT NULL,
  every TEXT NOT NULL,
  at_time TEXT NOT NULL,
  anchor BIGINT NOT NULL,
  lag BIGINT NOT NULL,
  catch_up TEXT NOT NULL,
  parquet BIGINT NOT NULL,
  table_format TEXT NOT NULL,
  destination TEXT NOT NULL,
  destination_table TEXT NOT NULL,
  paused BIGINT NOT NULL,
  reason TEXT NOT NULL,
  tries BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  woke_at BIGINT NOT NULL,
  covered_to BIGINT NOT NULL,
  asked_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (account, name)
);

CREATE INDEX syncs_due ON syncs (account, next_at) WHERE paused = 0;

CREATE TABLE sync_windows (
  bulk TEXT NOT NULL,
  start_at BIGINT NOT NULL,
  end_at BIGINT NOT NULL,
  PRIMARY KEY (bulk, start_at)
);

ALTER TABLE bulks ADD COLUMN sync_id TEXT NOT NULL DEFAULT '';
