-- All tables of a ledger in SQLite. Written by: go test ./ledger -run Fresh -update

CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  bucket TEXT NOT NULL DEFAULT '',
  concurrency_limit TEXT NOT NULL DEFAULT ''
);
CREATE TABLE "attempts" (
  bulk TEXT NOT NULL,
  number BIGINT NOT NULL,
  start_at BIGINT NOT NULL,
  end_at BIGINT NOT NULL,
  state TEXT NOT NULL,
  creates BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  reason TEXT NOT NULL,
  row_count BIGINT NOT NULL,
  byte_count BIGINT NOT NULL,
  stored_at BIGINT NOT NULL,
  provisional BIGINT NOT NULL, account TEXT NOT NULL DEFAULT '', operation TEXT NOT NULL DEFAULT '', search_export TEXT NOT NULL DEFAULT '', candidates TEXT NOT NULL DEFAULT '', intent_at BIGINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL DEFAULT 0, finished_at BIGINT NOT NULL DEFAULT 0, expires_at BIGINT NOT NULL DEFAULT 0, tries BIGINT NOT NULL DEFAULT 0, failing_since BIGINT NOT NULL DEFAULT 0, damaged BIGINT NOT NULL DEFAULT 0, searched_at BIGINT NOT NULL DEFAULT 0, watched_since BIGINT NOT NULL DEFAULT 0, damage TEXT NOT NULL DEFAULT '', failure TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (bulk, number)
);
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
  once TEXT, number BIGINT, previous TEXT, hash TEXT,
  UNIQUE (account, once)
);
CREATE TABLE audit_callers (
  account TEXT NOT NULL,
  caller TEXT NOT NULL,
  day BIGINT NOT NULL,
  entries BIGINT NOT NULL,
  left_out BIGINT NOT NULL,
  PRIMARY KEY (account, caller)
);
CREATE TABLE audit_chains (
  account TEXT PRIMARY KEY,
  number BIGINT NOT NULL,
  hash TEXT NOT NULL
);
CREATE TABLE bulks (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  request TEXT NOT NULL,
  granularity TEXT NOT NULL,
  max_in_flight BIGINT NOT NULL,
  settle BIGINT NOT NULL,
  now_given BIGINT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  finished_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL, asked_by TEXT NOT NULL DEFAULT '', trace TEXT NOT NULL DEFAULT '', notices TEXT NOT NULL DEFAULT '', single BIGINT NOT NULL DEFAULT 0, fetch_files BIGINT NOT NULL DEFAULT 1, key_hash TEXT NOT NULL DEFAULT '', rejections BIGINT NOT NULL DEFAULT 0, next_at BIGINT NOT NULL DEFAULT 0, manifest_due BIGINT NOT NULL DEFAULT 0, segment_name TEXT NOT NULL DEFAULT '', sync_id TEXT NOT NULL DEFAULT '',
  UNIQUE (account, name)
);
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
CREATE TABLE files (
  account TEXT NOT NULL,
  folder TEXT NOT NULL,
  name TEXT NOT NULL,
  bulk TEXT NOT NULL,
  number BIGINT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (account, folder, name)
);
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
CREATE TABLE keys (
  hash TEXT PRIMARY KEY,
  account TEXT NOT NULL
);
CREATE TABLE "leases" (
  account TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE TABLE operations (
		account TEXT NOT NULL, id TEXT NOT NULL, bulk TEXT NOT NULL, number BIGINT NOT NULL,
		fingerprint TEXT NOT NULL, search_export TEXT NOT NULL,
		created_at BIGINT NOT NULL, finished_at BIGINT NOT NULL, expires_at BIGINT NOT NULL,
		outcome TEXT NOT NULL, cancels BIGINT NOT NULL, cancel_at BIGINT NOT NULL);
CREATE TABLE processes (
  id TEXT PRIMARY KEY,
  seen_at BIGINT NOT NULL,
  accounts TEXT NOT NULL
);
CREATE TABLE quirks (
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (account, name)
);
CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  note TEXT NOT NULL,
  changed_at BIGINT NOT NULL
);
CREATE TABLE sync_windows (
  bulk TEXT NOT NULL,
  start_at BIGINT NOT NULL,
  end_at BIGINT NOT NULL,
  PRIMARY KEY (bulk, start_at)
);
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
CREATE INDEX attempts_at_work ON attempts (account, state, next_at)
		WHERE state IN ('creating', 'uncertain', 'running', 'ready', 'downloading');
CREATE INDEX attempts_by_operation ON attempts (operation) WHERE operation <> '';
CREATE INDEX attempts_by_time ON attempts (bulk, stored_at) WHERE stored_at > 0;
CREATE INDEX attempts_waiting ON attempts (account, state, next_at) WHERE next_at > 0;
CREATE UNIQUE INDEX audit_by_number ON audit (account, number);
CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX chunks_by_start ON "attempts" (bulk, start_at, number);
CREATE INDEX chunks_by_state ON "attempts" (bulk, state, start_at, provisional, row_count, byte_count);
CREATE INDEX conversions_due ON conversions (account) WHERE made < wanted;
CREATE INDEX files_by_bulk ON files (bulk, number);
CREATE INDEX operations_by_fingerprint ON operations (account, fingerprint, created_at);
CREATE UNIQUE INDEX operations_by_id ON operations (account, id);
CREATE INDEX operations_by_time ON operations (account, created_at);
CREATE INDEX operations_running ON operations (account, cancel_at) WHERE outcome = '';
CREATE INDEX sessions_by_change ON sessions (changed_at);
CREATE INDEX syncs_due ON syncs (account, next_at) WHERE paused = 0;
CREATE TRIGGER audit_chained AFTER INSERT ON audit
			BEGIN
				SELECT RAISE(ABORT, 'the entry is not the next one of its chain') WHERE NOT EXISTS (
					SELECT 1 FROM audit_chains
					WHERE account = NEW.account AND number = NEW.number - 1 AND hash = NEW.previous);
				UPDATE audit_chains SET number = NEW.number, hash = NEW.hash WHERE account = NEW.account;
			END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit
			BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
			BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (1, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (2, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (4, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (5, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (6, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (8, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (9, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (10, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (11, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (12, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (13, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (14, 1);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (15, 1);
