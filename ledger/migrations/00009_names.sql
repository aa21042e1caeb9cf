-- +goose Up
-- Each idea has one name: what an account bears at once is a limit, a lease ends
-- when it expires, and the length by which a range is cut is its granularity.
-- Only names change, so leases that are held stay held.

ALTER TABLE accounts RENAME COLUMN exports_window TO concurrency_limit;
ALTER TABLE leaders RENAME TO leases;
ALTER TABLE leases RENAME COLUMN until_at TO expires_at;
ALTER TABLE bulks RENAME COLUMN chunk TO granularity;
ALTER TABLE bulks RENAME COLUMN wanted TO fetch_files;
