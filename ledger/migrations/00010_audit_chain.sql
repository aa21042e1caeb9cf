-- +goose Up
-- The entries of an account are a chain: each has the hash of the one before, and its
-- own. audit_chains has the newest of each account. A later migration hashes the
-- entries that exist, and makes the database keep audit_chains.

ALTER TABLE audit ADD COLUMN number BIGINT;
ALTER TABLE audit ADD COLUMN previous TEXT;
ALTER TABLE audit ADD COLUMN hash TEXT;

CREATE TABLE audit_chains (
  account TEXT PRIMARY KEY,
  number BIGINT NOT NULL,
  hash TEXT NOT NULL
);

-- How many entries a caller has made on a day, in days since 1970 UTC, and how many
-- of that day were left out.
CREATE TABLE audit_callers (
  account TEXT NOT NULL,
  caller TEXT NOT NULL,
  day BIGINT NOT NULL,
  entries BIGINT NOT NULL,
  left_out BIGINT NOT NULL,
  PRIMARY KEY (account, caller)
);
