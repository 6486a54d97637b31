-- count_in_file_system: one fileset more, below the bound
UPDATE file_systems SET filesets = filesets + 1
 WHERE file_system_id = :file_system_id AND filesets < :filesets_max;

-- leave_file_system: one fileset less
UPDATE file_systems SET filesets = filesets - 1 WHERE file_system_id = :file_system_id;

-- add: a new fileset, whose directory is yet to be made
INSERT INTO filesets (number, fset_id, file_system_id, file_system_path, description, deletion_protection, made,
    size_limit, file_count_limit, space_usage, file_count_usage, counted_ns, created_ns, updated_ns)
VALUES (:number, :fset_id, :file_system_id, :file_system_path, :description, :deletion_protection, 0,
    :size_limit, :file_count_limit, 0, 0, :now_ns, :now_ns, :now_ns);

-- one: a fileset of a file system
SELECT * FROM filesets WHERE number = :number AND fset_id = :fset_id AND file_system_id = :file_system_id;

-- of_file_system: all filesets of a file system, newest first
SELECT * FROM filesets WHERE file_system_id = :file_system_id ORDER BY number DESC;

-- next_to_make: the oldest fileset whose directory is to be made
SELECT * FROM filesets WHERE made = 0 ORDER BY counted_ns, number LIMIT 1;

-- next_to_count: the fileset that was counted longest ago, if that was before a time
SELECT * FROM filesets WHERE made = 1 AND counted_ns <= :before_ns ORDER BY counted_ns, number LIMIT 1;

-- be_made: its directory is there
UPDATE filesets SET made = 1 WHERE number = :number AND made = 0;

-- withdraw: its directory could not be made
DELETE FROM filesets WHERE number = :number AND made = 0;

-- remove: forget one whose directory is gone
DELETE FROM filesets WHERE number = :number;

-- modify: another description or protection
UPDATE filesets SET description = :description, deletion_protection = :deletion_protection, updated_ns = :now_ns
 WHERE number = :number;

-- limit: another quota
UPDATE filesets SET size_limit = :size_limit, file_count_limit = :file_count_limit, updated_ns = :now_ns
 WHERE number = :number;

-- count: what is in it
UPDATE filesets SET space_usage = :space_usage, file_count_usage = :file_count_usage, counted_ns = :now_ns
 WHERE number = :number;

