-- add: a batch task waits for a place
INSERT INTO batches (task_number, data_flow_number, place, seek, listed, trouble_code, success, skipped, failed, report_path)
VALUES (:task_number, :data_flow_number, 2, '', 0, '', 0, 0, 0, '');

-- add_refresh: a batch of an auto-refresh, which has a place besides those of the others
INSERT INTO batches (task_number, data_flow_number, place, seek, listed, trouble_code, success, skipped, failed, report_path,
    refresh)
VALUES (:task_number, :data_flow_number, 1, '', 0, '', 0, 0, 0, '', 1);

-- refreshed: the dataflow of a batch of an auto-refresh
SELECT data_flow_number FROM batches WHERE task_number = :task_number AND refresh = 1;

-- end_listing: all of it was listed
UPDATE batches SET listed = 1 WHERE task_number = :task_number AND listed = 0;

-- select: what it was asked to move
INSERT INTO selections (task_number, entry_list, includes, file_list_path)
VALUES (:task_number, :entry_list, :includes, :file_list_path);

-- selection: what a task was asked to move
SELECT entry_list, includes, file_list_path,
       COALESCE((SELECT checksums FROM comparisons WHERE comparisons.task_number = selections.task_number), '') AS checksums
  FROM selections WHERE task_number = :task_number;

-- selections: the same of several
SELECT task_number, entry_list, includes, file_list_path FROM selections WHERE task_number IN ({list numbers});

-- reports: what several batch tasks have to report
SELECT task_number, place, listed, trouble_code, success, skipped, failed, report_path FROM batches WHERE task_number IN ({list numbers});

-- next: the dataflows that may work, with the batch that waits longest for a place in each, and how many have one
SELECT data_flows.number AS data_flow_number,
       (SELECT MIN(task_number) FROM batches
         WHERE place > 0 AND place = 2 AND data_flow_number = data_flows.number) AS task_number,
       (SELECT COUNT(*) FROM batches
         WHERE place > 0 AND place = 1 AND refresh = 0 AND data_flow_number = data_flows.number) AS placed
  FROM data_flows WHERE status IN ({when data_flow.work});

-- take_place: it has a place
UPDATE batches SET place = 1 WHERE task_number = :task_number AND place = 2;

-- leave_place: it has ended
UPDATE batches SET place = 0 WHERE task_number = :task_number AND place > 0;

-- placed: batches that have a place, with all that a look at them needs
SELECT batches.task_number, batches.seek, batches.listed, batches.trouble_code, batches.refresh,
       batches.success + batches.skipped + batches.failed AS reported, tasks.task_id, tasks.action, tasks.directory,
       tasks.target_directory, tasks.create_dir_if_not_exist, tasks.status, tasks.error_message, tasks.accepted, tasks.created,
       tasks.running, tasks.canceling, data_flows.file_system_id, data_flows.file_system_path, data_flows.source_storage,
       data_flows.source_storage_path,
       CASE WHEN data_flows.status IN ({when data_flow.work}) THEN 1 ELSE 0 END AS working
  FROM batches JOIN tasks ON tasks.number = batches.task_number
  JOIN data_flows ON data_flows.number = batches.data_flow_number
 WHERE batches.place > 0 AND batches.place = 1;

-- at: a batch that has a place
SELECT data_flow_number, trouble_code FROM batches WHERE task_number = :task_number AND place = 1;

-- seek: its source was listed so far, by whoever knew how far it had been
UPDATE batches SET seek = :seek, listed = :listed
 WHERE task_number = :task_number AND seek = :before AND listed = 0
   AND EXISTS (SELECT 1 FROM tasks WHERE tasks.number = batches.task_number AND tasks.status IN ({when task.take}))
RETURNING data_flow_number;

-- give_up_listing: its source cannot be listed any further
UPDATE batches SET listed = 1, trouble_code = :trouble_code
 WHERE task_number = :task_number AND listed = 0;

-- report: so many lines more in its reports
UPDATE batches SET success = success + :success, skipped = skipped + :skipped, failed = failed + :failed
 WHERE task_number = :task_number;

-- keep_report_path: where its reports lie in the bucket
UPDATE batches SET report_path = :report_path WHERE task_number = :task_number AND place > 0;

-- add_files: files of a batch; those behind a live one at the same target stand in no queue yet
INSERT INTO sub_tasks (number, sub_task_id, data_flow_number, task_number, status, queue, lane, turn, line, owner,
    attempt, failures, due_ns, source, source_digest, target, target_digest, rival, condition_modify_ns, condition_size,
    created_ns, stopped_before_ns, started_ns, ended_ns, bytes_total, bytes_done, actual_bytes, moving_ns,
    progress_attempt, detail_checksum, error_code, error_message, guarantee, note, tidy, checkpoint, batch)
VALUES {rows (:number, :sub_task_id, :data_flow_number, :task_number, {after sub_task.create}, :queue, 'small', :turn,
    :line, '', 0, 0, 0, :source, 0, :target, 0, '', NULL, NULL,
    :created_ns, 0, 0, 0, :bytes_total, 0, 0, 0, 0, '', '', '', '', '', 0, '', 1)};

-- ended: files of a batch that are final and in no report yet
SELECT number, source, target, status, kept, attempt, bytes_total, detail_modify_ns, detail_size, detail_checksum,
       error_code, error_message, note, started_ns, ended_ns, tidy, owner
  FROM sub_tasks WHERE task_number = :task_number AND batch > 0 AND batch = 1 AND turn = 0 LIMIT :limit;

-- live: files of a batch that nobody has withdrawn yet
SELECT number, data_flow_number, task_number, status, turn, line, owner FROM sub_tasks
 WHERE task_number = :task_number AND batch > 0 AND batch = 1 AND turn IN (1, 2) AND status IN ({when sub_task.withdrawable}) LIMIT :limit;

-- reported: files that are in a report, and stay for what is to be tidied
UPDATE sub_tasks SET batch = 2 WHERE number IN ({list numbers});

-- add_segment: lines of a report
INSERT INTO report_segments (number, task_number, report, size_bytes, packed)
VALUES {rows (:number, :task_number, :report, :size_bytes, :packed)};

-- segments: a report's lines, behind those that were read before
SELECT number, size_bytes, packed FROM report_segments
 WHERE task_number = :task_number AND report = :report AND number > :after ORDER BY number LIMIT :limit;

-- report_size: how long a report is, without its head
SELECT COALESCE(SUM(size_bytes), 0) AS size_bytes, COUNT(*) AS segments FROM report_segments
 WHERE task_number = :task_number AND report = :report;

-- report_key: what links to reports are signed with
SELECT secret FROM report_key;

-- keep_report_key: the same, for as long as this catalog lives
INSERT INTO report_key (secret) VALUES (:secret);

-- forget_segments: lines that are old enough
DELETE FROM report_segments WHERE number IN (
    SELECT number FROM report_segments WHERE number < :before ORDER BY number LIMIT :limit);

-- forget_segments_of: lines of the reports of a deleted dataflow
DELETE FROM report_segments WHERE number IN (
    SELECT report_segments.number FROM tasks CROSS JOIN report_segments
     WHERE tasks.data_flow_number = :data_flow_number AND report_segments.task_number = tasks.number LIMIT :limit);

-- ended_in: files of a deleted dataflow's batches that left nothing to tidy
SELECT sub_tasks.number FROM tasks CROSS JOIN sub_tasks
 WHERE tasks.data_flow_number = :data_flow_number AND sub_tasks.task_number = tasks.number AND sub_tasks.batch > 0
   AND sub_tasks.turn = 0 AND sub_tasks.tidy = 0 AND sub_tasks.owner = '' LIMIT :limit;

-- forget: batches whose task is gone
DELETE FROM batches WHERE task_number IN ({list numbers});

-- forget_selections: what they were asked to move
DELETE FROM selections WHERE task_number IN ({list numbers});

-- last_segment: the newest number ever given to lines of a report that are still known
SELECT COALESCE(MAX(number), 0) AS number FROM report_segments;
