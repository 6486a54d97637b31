-- add: what a Compare is to look at besides sizes and times
INSERT INTO comparisons (task_number, checksums, same, differs, only_in_file_system, only_in_bucket, by_size, by_modify_time,
    by_checksum, untold_times, untold_checksums, skipped, failed, read_bytes)
VALUES (:task_number, :checksums, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

-- of_tasks: what several Compare tasks were asked, and have found
SELECT * FROM comparisons WHERE task_number IN ({list numbers});

-- count: so much more was found
UPDATE comparisons SET same = same + :same, differs = differs + :differs,
    only_in_file_system = only_in_file_system + :only_in_file_system, only_in_bucket = only_in_bucket + :only_in_bucket,
    by_size = by_size + :by_size, by_modify_time = by_modify_time + :by_modify_time, by_checksum = by_checksum + :by_checksum,
    untold_times = untold_times + :untold_times, untold_checksums = untold_checksums + :untold_checksums,
    skipped = skipped + :skipped, failed = failed + :failed, read_bytes = read_bytes + :read_bytes
 WHERE task_number = :task_number
RETURNING *;

-- forget: comparisons whose task is gone
DELETE FROM comparisons WHERE task_number IN ({list numbers});
