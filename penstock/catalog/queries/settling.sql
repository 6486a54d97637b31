-- held: leased sub-tasks among these: what every end of an attempt is judged by
SELECT sub_task_id, number, attempt, status, data_flow_number, task_number, bytes_total
  FROM sub_tasks WHERE number IN ({list numbers}) AND owner <> '' {for_update};

-- known: leased sub-tasks among these with all that an attempt may leave standing
SELECT sub_task_id, number, attempt, status, data_flow_number, task_number, bytes_total, lane, progress_attempt, bytes_done,
    actual_bytes, moving_ns, detail_modify_ns, detail_size, detail_checksum, error_code, error_message, guarantee, note,
    checkpoint, begun
  FROM sub_tasks WHERE number IN ({list numbers}) AND owner <> '' {for_update};

-- end: final statuses with all that came of them
UPDATE sub_tasks
   SET status = ends.after, ended_ns = :now_ns, owner = '', turn = 0, due_ns = 0, kept = ends.kept,
       queue = CASE WHEN ends.tidy = 1 THEN 'clear' ELSE '' END, tidy = ends.tidy,
       bytes_total = ends.bytes_total, bytes_done = ends.bytes_done, actual_bytes = ends.actual_bytes,
       moving_ns = ends.moving_ns, detail_modify_ns = ends.detail_modify_ns, detail_size = ends.detail_size,
       detail_checksum = ends.detail_checksum, error_code = ends.error_code, error_message = ends.error_message,
       guarantee = ends.guarantee, note = ends.note, checkpoint = ends.checkpoint
  FROM (WITH told (number, attempt, before, after, tidy, bytes_total, bytes_done, actual_bytes, moving_ns, detail_modify_ns,
                   detail_size, detail_checksum, error_code, error_message, guarantee, note, checkpoint, kept) AS (VALUES
        {rows (CAST(:number AS BIGINT), CAST(:attempt AS BIGINT), :before, :after, CAST(:tidy AS BIGINT),
         CAST(:bytes_total AS BIGINT), CAST(:bytes_done AS BIGINT), CAST(:actual_bytes AS BIGINT),
         CAST(:moving_ns AS BIGINT), CAST(:detail_modify_ns AS BIGINT), CAST(:detail_size AS BIGINT), :detail_checksum,
         :error_code, :error_message, :guarantee, :note, :checkpoint, CAST(:kept AS BIGINT))}) SELECT * FROM told) AS ends
 WHERE sub_tasks.number = ends.number AND sub_tasks.attempt = ends.attempt AND sub_tasks.owner <> ''
   AND sub_tasks.status = ends.before;

-- go_again: the attempt is over, the sub-task is not
UPDATE sub_tasks
   SET owner = '', queue = :queue, lane = :lane, due_ns = :due_ns, failures = failures + :failures,
       bytes_total = :bytes_total, bytes_done = :bytes_done, actual_bytes = :actual_bytes, moving_ns = :moving_ns,
       detail_modify_ns = :detail_modify_ns, detail_size = :detail_size, detail_checksum = :detail_checksum,
       error_code = :error_code, error_message = :error_message, guarantee = :guarantee, note = :note,
       checkpoint = :checkpoint, begun = :begun
 WHERE number = :number AND attempt = :attempt AND owner <> '' AND status = :before;

-- tidied: nothing is kept for recovery any more; a sentence that named what was left is another one then
UPDATE sub_tasks
   SET owner = '', queue = '', tidy = 0, checkpoint = '',
       error_message = CASE WHEN :error_message = '' THEN error_message ELSE :error_message END
 WHERE number = :number AND attempt = :attempt AND owner <> '' AND status = :before;

-- tidy_later: tidying did not work this time
UPDATE sub_tasks
   SET owner = '', queue = 'clear', due_ns = :due_ns,
       checkpoint = CASE WHEN :checkpoint = '' THEN checkpoint ELSE :checkpoint END,
       error_message = CASE WHEN :error_message = '' THEN error_message ELSE :error_message END
 WHERE number = :number AND attempt = :attempt AND owner <> '' AND status = :before;

-- progress: how far a running attempt is
UPDATE sub_tasks
   SET bytes_total = :bytes_total, bytes_done = :bytes_done, actual_bytes = :actual_bytes, moving_ns = :moving_ns,
       progress_attempt = :attempt, detail_modify_ns = :detail_modify_ns, detail_size = :detail_size,
       detail_checksum = :detail_checksum
 WHERE number = :number AND attempt = :attempt AND owner <> '' AND status IN ({when sub_task.attempt});

-- checkpoint: the record of an unfinished upload, also of a FAILED sub-task that is being tidied
UPDATE sub_tasks SET checkpoint = :checkpoint
 WHERE number = :number AND sub_task_id = :sub_task_id AND attempt = :attempt AND owner <> '';
