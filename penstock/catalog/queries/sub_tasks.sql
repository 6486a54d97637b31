-- add: new sub-tasks; those behind a live one at the same target stand in no queue yet
INSERT INTO sub_tasks (number, sub_task_id, data_flow_number, task_number, status, queue, lane, turn, line, owner,
    attempt, failures, due_ns, source, source_digest, target, target_digest, rival, condition_modify_ns, condition_size,
    created_ns, stopped_before_ns, started_ns, ended_ns, bytes_total, bytes_done, actual_bytes, moving_ns,
    progress_attempt, detail_checksum, error_code, error_message, guarantee, note, tidy, checkpoint)
VALUES {rows (:number, :sub_task_id, :data_flow_number, :task_number, {after sub_task.create}, :queue, 'small', :turn,
    :line, '', 0, 0, 0, :source, :source_digest, :target, :target_digest, :rival, :condition_modify_ns, :condition_size,
    :created_ns, :stopped_before_ns, 0, 0, 0, 0, 0, 0, 0, '', '', '', '', '', 0, '')};

-- firsts: which of these targets have a live sub-task
SELECT line FROM sub_tasks WHERE turn = 1 AND line IN ({list lines});

-- any_behind: whether anybody stands behind another at a target; no line is before the empty one
SELECT turn FROM sub_tasks WHERE turn = 2 AND line >= '' LIMIT 1;

-- lines: the targets of these
SELECT line FROM sub_tasks WHERE number IN ({list numbers});

-- behind: who stands next at these targets
SELECT line, MIN(number) AS number FROM sub_tasks WHERE turn = 2 AND line IN ({list lines}) GROUP BY line;

-- step_up: the next one at a target may be claimed now
UPDATE sub_tasks SET turn = 1, queue = 'small' WHERE number = :number AND turn = 2;

-- visible: one sub-task of a task
SELECT * FROM sub_tasks
 WHERE number = :number AND sub_task_id = :sub_task_id AND task_number = :task_number
   AND data_flow_number = :data_flow_number AND batch = 0;

-- by_numbers: sub-tasks of streams, in any order
SELECT * FROM sub_tasks WHERE number IN ({list numbers}) AND batch = 0;

-- drop: a waiting sub-task is cancelled at once, unless a power cut may have forgotten that it was begun
UPDATE sub_tasks SET status = {after sub_task.drop}, queue = '', turn = 0, ended_ns = :now_ns
 WHERE number = :number AND status IN ({before sub_task.drop})
   AND (turn = 2 OR number > (SELECT in_doubt FROM openings));

-- doubt: such a one is to be withdrawn
UPDATE sub_tasks SET status = {after sub_task.doubt}, queue = 'clear', started_ns = :now_ns, canceled_ns = :now_ns
 WHERE number = :number AND status IN ({before sub_task.doubt});

-- cancel: a running sub-task is to be withdrawn; one that nobody holds can be claimed for that now
UPDATE sub_tasks
   SET status = {after sub_task.cancel}, queue = CASE WHEN owner = '' THEN 'clear' ELSE '' END, due_ns = 0, canceled_ns = :now_ns
 WHERE number = :number AND status IN ({before sub_task.cancel});

-- oldest_waiting_of_all: the first that waits in a dataflow whose sub-tasks are claimed, by a seek for each, and one for each batch that moves
SELECT MIN(first) AS number
  FROM (SELECT (SELECT MIN(sub_tasks.number) FROM sub_tasks
                 WHERE sub_tasks.data_flow_number = data_flows.number AND sub_tasks.status = {when sub_task.waiting}
                   AND sub_tasks.batch = 0) AS first
          FROM data_flows WHERE data_flows.status = {when data_flow.work}
        UNION ALL
        SELECT (SELECT MIN(sub_tasks.number) FROM sub_tasks
                 WHERE sub_tasks.queue <> '' AND sub_tasks.queue = 'small' AND sub_tasks.data_flow_number = batches.data_flow_number
                   AND sub_tasks.task_number = batches.task_number AND sub_tasks.due_ns = 0) AS first
          FROM batches JOIN data_flows ON data_flows.number = batches.data_flow_number
         WHERE batches.place > 0 AND batches.place = 1 AND data_flows.status = {when data_flow.work}) AS told;

-- oldest_waiting: the waiting sub-tasks of a dataflow's streams in creation order
SELECT number, task_number, line, turn, created_ns, stopped_before_ns FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND status = {when sub_task.waiting} AND batch = 0
 ORDER BY number LIMIT :limit;

-- named_waiting: the same with their names
SELECT number, task_number, line, turn, source, target FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND status = {when sub_task.waiting} AND batch = 0
 ORDER BY number LIMIT :limit;

-- expire: it has waited too long; what may have been begun, and forgotten, is to be cleared
UPDATE sub_tasks
   SET status = {after sub_task.expire}, turn = 0, ended_ns = :now_ns,
       tidy = CASE WHEN turn = 1 AND number <= (SELECT in_doubt FROM openings) THEN 1 ELSE 0 END,
       queue = CASE WHEN turn = 1 AND number <= (SELECT in_doubt FROM openings) THEN 'clear' ELSE '' END
 WHERE number = :number AND status IN ({before sub_task.expire});

-- page_of_data_flow: numbers of a dataflow's sub-tasks, newest first
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND number < :before AND batch = 0 ORDER BY number DESC LIMIT :limit;

-- page_by_status: numbers of a dataflow's sub-tasks in one status, newest first
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND status = :status AND number < :before AND batch = 0
 ORDER BY number DESC LIMIT :limit;

-- page_of_task: numbers of a task's sub-tasks in one status, newest first
SELECT number FROM sub_tasks
 WHERE task_number = :task_number AND status = :status AND number < :before AND batch = 0
 ORDER BY number DESC LIMIT :limit;

-- page_by_source: numbers of a dataflow's sub-tasks from one source, newest first
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND substr(source, 1, 120) = substr(:path, 1, 120)
   AND source_digest = :digest AND number < :before AND batch = 0 ORDER BY number DESC LIMIT :limit;

-- page_by_target: numbers of a dataflow's sub-tasks to one target, newest first
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND substr(target, 1, 120) = substr(:path, 1, 120)
   AND target_digest = :digest AND number < :before AND batch = 0 ORDER BY number DESC LIMIT :limit;

-- ended_before: final sub-tasks that ended long ago, left nothing to tidy and are in their batch's report, if they have one
SELECT number FROM sub_tasks
 WHERE ended_ns > 0 AND ended_ns < :before_ns AND tidy = 0 AND owner = '' AND batch <> 1 ORDER BY ended_ns, number LIMIT :limit;

-- ended_in: final sub-tasks of a deleted dataflow's streams that left nothing to tidy
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND turn = 0 AND tidy = 0 AND owner = '' AND batch = 0 ORDER BY number LIMIT :limit;

-- forget: remove sub-tasks
DELETE FROM sub_tasks WHERE number IN ({list numbers});

-- last_number: the newest number ever given to a sub-task that is still known
SELECT COALESCE(MAX(number), 0) AS number FROM sub_tasks;
