-- +goose Up
-- The bulk exports whose stored files become Parquet files as well. wanted counts requests and
-- files that were stored since; made is what wanted was when the last complete conversion began.

CREATE TABLE conversions (
  bulk TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  table_format TEXT NOT NULL,
  wanted BIGINT NOT NULL,
  made BIGINT NOT NULL,
  file_count BIGINT NOT NULL,
  row_count BIGINT NOT NULL,
  loaded BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  reason TEXT NOT NULL
);

CREATE INDEX conversions_due ON conversions (account) WHERE made < wanted;
