-- held: leased sub-tasks among these, as they are
SELECT * FROM sub_tasks WHERE number IN ({list numbers}) AND owner <> '' {for_update};

-- end: a final status with all that came of it
UPDATE sub_tasks
   SET status = :after, ended_ns = :now_ns, owner = '', turn = 0, due_ns = 0,
       queue = CASE WHEN :tidy = 1 THEN 'clear' ELSE '' END, tidy = :tidy,
       bytes_total = :bytes_total, bytes_done = :bytes_done, actual_bytes = :actual_bytes, moving_ns = :moving_ns,
       detail_modify_ns = :detail_modify_ns, detail_size = :detail_size, detail_checksum = :detail_checksum,
       error_code = :error_code, error_message = :error_message, guarantee = :guarantee, note = :note,
       checkpoint = :checkpoint
 WHERE number = :number AND attempt = :attempt AND owner <> '' AND status = :before;

-- go_again: the attempt is over, the sub-task is not
UPDATE sub_tasks
   SET owner = '', queue = :queue, lane = :lane, due_ns = :due_ns, failures = failures + :failures,
       bytes_total = :bytes_total, bytes_done = :bytes_done, actual_bytes = :actual_bytes, moving_ns = :moving_ns,
       detail_modify_ns = :detail_modify_ns, detail_size = :detail_size, detail_checksum = :detail_checksum,
       error_code = :error_code, error_message = :error_message, guarantee = :guarantee, note = :note,
       checkpoint = :checkpoint
 WHERE number = :number AND attempt = :attempt AND owner <> '' AND status = :before;

-- tidied: nothing is kept for recovery any more
UPDATE sub_tasks SET owner = '', queue = '', tidy = 0, checkpoint = ''
 WHERE number = :number AND attempt = :attempt AND owner <> '' AND status = :before;

-- tidy_later: tidying did not work this time
UPDATE sub_tasks SET owner = '', queue = 'clear', due_ns = :due_ns
 WHERE number = :number AND attempt = :attempt AND owner <> '' AND status = :before;

-- progress: how far a running attempt is
UPDATE sub_tasks
   SET bytes_total = :bytes_total, bytes_done = :bytes_done, actual_bytes = :actual_bytes, moving_ns = :moving_ns,
       progress_attempt = :attempt, detail_modify_ns = :detail_modify_ns, detail_size = :detail_size,
       detail_checksum = :detail_checksum
 WHERE number = :number AND attempt = :attempt AND owner <> '' AND status IN ({when sub_task.attempt});

-- checkpoint: the record of an unfinished upload
UPDATE sub_tasks SET checkpoint = :checkpoint
 WHERE number = :number AND sub_task_id = :sub_task_id AND attempt = :attempt AND owner <> ''
   AND status IN ({when sub_task.attempt});
