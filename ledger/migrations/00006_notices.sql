-- +goose Up
-- The notices about the request of a bulk export at its start, JSON; empty: none.
ALTER TABLE bulks ADD COLUMN notices TEXT NOT NULL DEFAULT '';
