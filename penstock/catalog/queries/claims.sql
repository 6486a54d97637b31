-- next_tasks: a dataflow's tasks with something due in one queue, in task order after a given one, each found by one seek
WITH RECURSIVE ring (task_number) AS (
    SELECT (SELECT MIN(task_number) FROM sub_tasks
             WHERE queue <> '' AND queue = :queue AND data_flow_number = :data_flow_number AND task_number > :after)
    UNION ALL
    SELECT (SELECT MIN(sub_tasks.task_number) FROM sub_tasks
             WHERE queue <> '' AND queue = :queue AND data_flow_number = :data_flow_number
               AND sub_tasks.task_number > ring.task_number)
      FROM ring WHERE ring.task_number IS NOT NULL
)
SELECT task_number FROM ring
 WHERE task_number IS NOT NULL
   AND EXISTS (SELECT 1 FROM sub_tasks
                WHERE queue <> '' AND queue = :queue AND data_flow_number = :data_flow_number
                  AND sub_tasks.task_number = ring.task_number AND due_ns <= :now_ns)
 LIMIT :limit;

-- queues: the queues with anything in them that may be claimed, by dataflow, each found by one seek
WITH RECURSIVE names (queue) AS (
    SELECT 'clear' UNION ALL SELECT 'small-again' UNION ALL SELECT 'small' UNION ALL SELECT 'large-again' UNION ALL SELECT 'large'
), ring (queue, data_flow_number) AS (
    SELECT names.queue, (SELECT MIN(data_flow_number) FROM sub_tasks
                          WHERE sub_tasks.queue <> '' AND sub_tasks.queue = names.queue)
      FROM names
    UNION ALL
    SELECT ring.queue, (SELECT MIN(sub_tasks.data_flow_number) FROM sub_tasks
                         WHERE sub_tasks.queue <> '' AND sub_tasks.queue = ring.queue
                           AND sub_tasks.data_flow_number > ring.data_flow_number)
      FROM ring WHERE ring.data_flow_number IS NOT NULL
)
SELECT ring.queue, ring.data_flow_number FROM ring
 WHERE ring.data_flow_number IS NOT NULL
   AND (ring.queue = 'clear'
        OR ring.data_flow_number IN (SELECT number FROM data_flows WHERE status IN ({when data_flow.work})));

-- next_due: when something is due next that is not due yet
SELECT MIN(due_ns) AS due_ns FROM sub_tasks WHERE queue <> '' AND due_ns > 0 AND due_ns > :now_ns;

-- task: what a claim must know of a task and its dataflow
SELECT data_flows.file_system_id, data_flows.data_flow_id, data_flows.file_system_path, data_flows.source_storage,
       tasks.number, tasks.data_flow_number, tasks.task_id, tasks.action, tasks.conflict_policy,
       CASE WHEN data_flows.status IN ({when data_flow.work}) AND tasks.status IN ({when task.take})
            THEN 1 ELSE 0 END AS working
  FROM tasks JOIN data_flows ON data_flows.number = tasks.data_flow_number
 WHERE tasks.number = :task_number;

-- claim: take what is due in one queue of a task
WITH claimable AS MATERIALIZED (
    SELECT number FROM sub_tasks
     WHERE queue <> '' AND queue = :queue AND data_flow_number = :data_flow_number AND task_number = :task_number
       AND due_ns <= :now_ns
     ORDER BY due_ns, number LIMIT :limit {skip_locked}
)
UPDATE sub_tasks
   SET status = CASE WHEN status IN ({before sub_task.claim}) THEN {after sub_task.claim} ELSE status END,
       started_ns = CASE WHEN status IN ({before sub_task.claim}) THEN :now_ns ELSE started_ns END,
       attempt = attempt + 1, owner = :owner, queue = '',
       begun = CASE WHEN attempt = 0 AND number <= (SELECT in_doubt FROM openings) THEN 1 ELSE begun END,
       error_code = CASE WHEN error_message IN (:waited, :large) THEN '' ELSE error_code END,
       error_message = CASE WHEN error_message IN (:waited, :large) THEN '' ELSE error_message END
 WHERE number IN (SELECT number FROM claimable)
RETURNING number, sub_task_id, source, target, status, attempt, condition_modify_ns, condition_size, bytes_total, bytes_done,
    actual_bytes, moving_ns, detail_modify_ns, detail_size, detail_checksum, error_code, error_message, created_ns, started_ns,
    ended_ns, lane, rival, checkpoint, tidy, failures, begun, canceled_ns;

-- wake: what waits for a time because its bucket had not answered or allowed it, each dataflow's by one seek; why is told no more, but for what is to be withdrawn
UPDATE sub_tasks
   SET due_ns = :now_ns,
       error_code = CASE WHEN status IN ({before sub_task.fail}) THEN '' ELSE error_code END,
       error_message = CASE WHEN status IN ({before sub_task.fail}) THEN '' ELSE error_message END
 WHERE number IN (SELECT number FROM sub_tasks
                   WHERE queue <> '' AND due_ns > 0 AND error_code IN ('StoreUnavailable', 'StoreThrottled')
                     AND data_flow_number IN (SELECT number FROM data_flows WHERE bucket = :bucket) AND due_ns > :now_ns
                   LIMIT :limit {skip_locked});

-- without_room: the tasks of which something waits for a time because there was no room, or the file system was away, at one place or ('') at all, each by one seek
WITH RECURSIVE ring (data_flow_number, task_number) AS (
    SELECT number, (SELECT MIN(task_number) FROM sub_tasks
                     WHERE queue <> '' AND due_ns > 0 AND error_code IN ('NoSpace', 'ReadOnlyFileSystem', 'FileSystemUnavailable')
                       AND data_flow_number = data_flows.number)
      FROM data_flows
     WHERE (:file_system_id = '' AND :bucket = '') OR file_system_id = :file_system_id OR bucket = :bucket
    UNION ALL
    SELECT data_flow_number, (SELECT MIN(sub_tasks.task_number) FROM sub_tasks
                               WHERE queue <> '' AND due_ns > 0 AND error_code IN ('NoSpace', 'ReadOnlyFileSystem', 'FileSystemUnavailable')
                                 AND sub_tasks.data_flow_number = ring.data_flow_number
                                 AND sub_tasks.task_number > ring.task_number)
      FROM ring WHERE ring.task_number IS NOT NULL
)
SELECT data_flows.file_system_id, data_flows.bucket, tasks.action, ring.data_flow_number, ring.task_number,
       (SELECT MIN(due_ns) FROM sub_tasks
         WHERE queue <> '' AND due_ns > 0 AND error_code IN ('NoSpace', 'ReadOnlyFileSystem', 'FileSystemUnavailable')
           AND sub_tasks.data_flow_number = ring.data_flow_number AND sub_tasks.task_number = ring.task_number
           AND due_ns > :now_ns) AS due_ns
  FROM ring JOIN tasks ON tasks.number = ring.task_number JOIN data_flows ON data_flows.number = ring.data_flow_number;

-- wake_for_room: what waits in a task for a time because there was no room, or the file system was away, the first due first; why is told on, for it may be so still
UPDATE sub_tasks SET due_ns = :now_ns
 WHERE number IN (SELECT number FROM sub_tasks
                   WHERE queue <> '' AND due_ns > 0 AND error_code IN ('NoSpace', 'ReadOnlyFileSystem', 'FileSystemUnavailable')
                     AND data_flow_number = :data_flow_number AND task_number = :task_number AND due_ns > :now_ns
                   ORDER BY due_ns LIMIT :limit {skip_locked});

-- wake_left: what ended and could not remove what it had begun, each dataflow's by one seek
UPDATE sub_tasks SET due_ns = :now_ns
 WHERE number IN (SELECT number FROM sub_tasks
                   WHERE queue <> '' AND queue = 'clear' AND tidy = 1 AND due_ns > :now_ns
                     AND data_flow_number IN (SELECT number FROM data_flows
                                               WHERE bucket = :bucket OR file_system_id = :file_system_id)
                     AND EXISTS (SELECT 1 FROM tasks
                                  WHERE tasks.number = sub_tasks.task_number AND tasks.action IN (:stream, :batch))
                   LIMIT :limit {skip_locked});

-- promise: a lease, or a longer one
INSERT INTO leases (owner, until_ns) VALUES (:owner, :until_ns)
ON CONFLICT (owner) DO UPDATE SET until_ns = excluded.until_ns;

-- put_back: pauses stay as long as they were when the clock was put back
UPDATE sub_tasks SET due_ns = CASE WHEN due_ns - :back_ns > :now_ns THEN due_ns - :back_ns ELSE :now_ns END
 WHERE queue <> '' AND due_ns > 0 AND due_ns > :now_ns;

-- hasten: what would be due too late is due now, and so is what is to be cleared: who starts looks at that once
UPDATE sub_tasks SET due_ns = :due_ns
 WHERE queue <> '' AND due_ns > 0 AND due_ns > CASE WHEN queue = 'clear' THEN CAST(:due_ns AS BIGINT) ELSE CAST(:latest_ns AS BIGINT) END;

-- overdue: owners whose lease has ended
SELECT owner FROM leases WHERE until_ns < :now_ns ORDER BY owner;

-- owners: everybody who holds a lease
SELECT owner FROM leases ORDER BY owner;

-- explain: what an owner held says why it does not go on, where its dataflow waits for the bucket
UPDATE sub_tasks SET error_code = :error_code, error_message = :error_message
 WHERE owner <> '' AND owner = :owner AND error_message = '' AND status IN ({before sub_task.fail})
   AND data_flow_number IN (SELECT number FROM data_flows WHERE status IN ({before data_flow.find_source}));

-- explain_cancel: what is being withdrawn says why it takes long
UPDATE sub_tasks SET error_code = :error_code, error_message = :error_message
 WHERE number = :number AND attempt = :attempt AND owner <> ''
   AND (error_message = '' OR error_code = :waiting) AND status IN ({when sub_task.withdraw});

-- release: what an owner held can be claimed again; what had become of it nobody has said
UPDATE sub_tasks
   SET owner = '', due_ns = 0, begun = 1,
       queue = CASE WHEN status IN ({before sub_task.fail}) THEN lane || '-again' ELSE 'clear' END
 WHERE owner <> '' AND owner = :owner;

-- end: an owner holds nothing any more
DELETE FROM leases WHERE owner = :owner;

-- canceling: what an owner should withdraw
SELECT sub_task_id, attempt FROM sub_tasks
 WHERE owner <> '' AND owner = :owner AND status IN ({when sub_task.withdraw}) ORDER BY number;
