-- +goose Up
-- What Fullstory called the segment of a bulk export at its start; empty: not known.
ALTER TABLE bulks ADD COLUMN segment_name TEXT NOT NULL DEFAULT '';
