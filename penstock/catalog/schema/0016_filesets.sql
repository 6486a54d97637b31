-- Filesets: directories with an id. `made` is 0 until the directory is known to be there; a limit of 0 is none.

CREATE TABLE filesets (
    number              {number_key},
    fset_id             TEXT   NOT NULL,
    file_system_id      TEXT   {bytewise} NOT NULL,
    file_system_path    TEXT   NOT NULL,
    description         TEXT   NOT NULL,
    deletion_protection BIGINT NOT NULL,
    made                BIGINT NOT NULL,
    size_limit          BIGINT NOT NULL,
    file_count_limit    BIGINT NOT NULL,
    space_usage         BIGINT NOT NULL,
    file_count_usage    BIGINT NOT NULL,
    counted_ns          BIGINT NOT NULL,  -- when what is in it was counted last
    created_ns          BIGINT NOT NULL,
    updated_ns          BIGINT NOT NULL
);
CREATE INDEX filesets_of_file_system ON filesets (file_system_id, number);
CREATE INDEX filesets_by_count ON filesets (made, counted_ns, number);

ALTER TABLE file_systems ADD COLUMN filesets BIGINT NOT NULL DEFAULT 0;
ALTER TABLE data_flows ADD COLUMN fset_id TEXT NOT NULL DEFAULT '';
-- 0 while CreateFileSystem has promised one that is not registered yet.
ALTER TABLE file_systems ADD COLUMN made BIGINT NOT NULL DEFAULT 1;
