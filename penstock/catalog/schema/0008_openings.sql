-- In which life of the machine the catalog was opened last, '' once it was closed in all order. Where it is another one than now, a
-- power cut may have forgotten claims: sub-tasks with numbers up to `in_doubt` may have been begun though they are CREATED.
-- Of a catalog that is older than this table nobody knows how it was left; in a new one there is nothing to doubt.

CREATE TABLE openings (
    boot_id          TEXT   NOT NULL,
    in_doubt         BIGINT NOT NULL
);
INSERT INTO openings (boot_id, in_doubt) VALUES ('unknown', 0);
