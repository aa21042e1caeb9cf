-- +goose Up
-- How Fullstory's API was found to differ from what this program assumes, for each account.

CREATE TABLE quirks (
  account TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (account, name)
);
