-- Auto-refresh: which directories of a dataflow are kept up to date with its bucket, when it is looked at next, and what the looks
-- before have seen of each object: 16 bytes, kept in portions that each hold what lies between two keys.

CREATE TABLE refreshes (
    data_flow_number {number_key},
    policy           TEXT   NOT NULL,
    interval_minutes BIGINT NOT NULL,
    paths            TEXT   NOT NULL,  -- JSON, in the order in which they came
    due_ns           BIGINT NOT NULL,  -- when the next look begins
    look_ns          BIGINT NOT NULL,  -- when the one that is under way began, 0 while none is
    task_number      BIGINT NOT NULL,  -- with what the newest look imports what has changed, 0 while nothing has
    late             BIGINT NOT NULL   -- 1: the last look, or what it found, was not over when the next one was due
);

CREATE TABLE refresh_known (
    number           {number_key},
    data_flow_number BIGINT NOT NULL,
    behind           TEXT   {bytewise} NOT NULL,  -- keys behind this one
    until            TEXT   {bytewise} NOT NULL,  -- up to this one
    packed           TEXT   NOT NULL
);
CREATE INDEX refresh_known_until ON refresh_known (data_flow_number, until);

ALTER TABLE batches ADD COLUMN refresh BIGINT NOT NULL DEFAULT 0;  -- 1: an auto-refresh made it, and feeds it
