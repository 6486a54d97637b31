-- What Compare tasks were asked to compare, and have found so far. Their differences are lines of reports, as of every batch.

CREATE TABLE comparisons (
    task_number         {number_key},
    checksums           TEXT   NOT NULL,  -- whether files are read, and objects
    same                BIGINT NOT NULL,  -- counts of paths
    differs             BIGINT NOT NULL,
    only_in_file_system BIGINT NOT NULL,
    only_in_bucket      BIGINT NOT NULL,
    by_size             BIGINT NOT NULL,  -- of those that differ
    by_modify_time      BIGINT NOT NULL,
    by_checksum         BIGINT NOT NULL,
    untold_times        BIGINT NOT NULL,  -- of those on both sides
    untold_checksums    BIGINT NOT NULL,
    skipped             BIGINT NOT NULL,
    failed              BIGINT NOT NULL,
    read_bytes          BIGINT NOT NULL
);
