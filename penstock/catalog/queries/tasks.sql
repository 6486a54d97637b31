-- open: a new stream, executing at once or in transition
INSERT INTO tasks (number, task_id, data_flow_number, action, data_type, conflict_policy, directory, target_directory,
    create_dir_if_not_exist, originator, status, error_message, created_ns, started_ns, ended_ns, due_ns)
VALUES (:number, :task_id, :data_flow_number, :action, :data_type, :conflict_policy, :directory, :target_directory,
    :create_dir_if_not_exist, :originator,
    CASE WHEN CAST(:due_ns AS BIGINT) = 0 THEN {after task.open} ELSE {after task.open_slowly} END,
    '', :now_ns, CASE WHEN CAST(:due_ns AS BIGINT) = 0 THEN CAST(:now_ns AS BIGINT) ELSE 0 END, 0, :due_ns);

-- queue: a new batch task, pending
INSERT INTO tasks (number, task_id, data_flow_number, action, data_type, conflict_policy, directory, target_directory,
    create_dir_if_not_exist, originator, status, error_message, created_ns, started_ns, ended_ns, due_ns)
VALUES (:number, :task_id, :data_flow_number, :action, :data_type, :conflict_policy, :directory, :target_directory,
    :create_dir_if_not_exist, :originator, {after task.queue}, '', :now_ns, 0, 0, 0);

-- visible: one task of a dataflow
SELECT * FROM tasks WHERE number = :number AND task_id = :task_id AND data_flow_number = :data_flow_number;

-- at: the status of one
SELECT status FROM tasks WHERE number = :number;

-- by_numbers: tasks, in any order
SELECT * FROM tasks WHERE number IN ({list numbers});

-- cancel: the end of a stream without live sub-tasks, or of a batch that has not begun
UPDATE tasks SET status = {after task.cancel}, ended_ns = :now_ns, due_ns = 0
 WHERE number = :number AND created + running + canceling = 0 AND status IN ({before task.cancel})
   AND (action IN ({when task.stream}) OR status IN ({before task.begin}));

-- withdraw: a batch that has begun is to end
UPDATE tasks SET status = {after task.withdraw}
 WHERE number = :number AND status IN ({before task.withdraw}) AND action NOT IN ({when task.stream});

-- begin: a batch has a place among those of its dataflow
UPDATE tasks SET status = {after task.begin}, started_ns = :now_ns
 WHERE number = :number AND status IN ({before task.begin}) AND action NOT IN ({when task.stream});

-- complete: all that a batch has listed is final
UPDATE tasks SET status = {after task.complete}, ended_ns = :now_ns, error_message = ''
 WHERE number = :number AND created + running + canceling = 0 AND status IN ({before task.complete})
   AND action NOT IN ({when task.stream});

-- fail: the same of one whose source could not be listed
UPDATE tasks SET status = {after task.fail}, ended_ns = :now_ns
 WHERE number = :number AND created + running + canceling = 0 AND status IN ({before task.fail})
   AND action NOT IN ({when task.stream});

-- withdrawn: nothing of a batch moves any more
UPDATE tasks SET status = {after task.withdrawn}, ended_ns = :now_ns, error_message = ''
 WHERE number = :number AND created + running + canceling = 0 AND status IN ({before task.withdrawn});

-- explain: what a batch waits for, or why it failed; nothing where it goes on
UPDATE tasks SET error_message = :error_message WHERE number = :number;

-- list_more: so many entries that a batch has listed
UPDATE tasks SET accepted = accepted + :accepted WHERE number = :number;

-- in_transition: tasks whose transition is over, longest first
SELECT number FROM tasks WHERE due_ns > 0 AND due_ns <= :now_ns ORDER BY due_ns LIMIT :limit;

-- next_transition: when the first transition of a task is over
SELECT MIN(due_ns) AS due_ns FROM tasks WHERE due_ns > 0;

-- put_back: a delay stays as long as it was when the clock was put back
UPDATE tasks SET due_ns = CASE WHEN due_ns - :back_ns > :now_ns THEN due_ns - :back_ns ELSE :now_ns END
 WHERE due_ns > 0 AND due_ns > :now_ns;

-- become_executing: a stream is open
UPDATE tasks SET status = {after task.become_executing}, started_ns = :now_ns, due_ns = 0
 WHERE number = :number AND due_ns > 0 AND status IN ({before task.become_executing});

-- take_sub_tasks: more sub-tasks, if the stream is open
UPDATE tasks SET accepted = accepted + :accepted, created = created + :accepted
 WHERE number = :number AND task_id = :task_id AND data_flow_number = :data_flow_number
   AND status IN ({when task.take}) AND action IN ({when task.stream});

-- count: changes of the counters
UPDATE tasks SET created = created + :created, running = running + :running, canceling = canceling + :canceling,
    complete = complete + :complete, failed = failed + :failed, canceled = canceled + :canceled,
    expired = expired + :expired, moved = moved + :moved, bytes_total = bytes_total + :bytes_total,
    bytes_done = bytes_done + :bytes_done, actual_bytes = actual_bytes + :actual_bytes,
    moving_ns = moving_ns + :moving_ns
 WHERE number = :number;

-- page_of_data_flow: numbers of a dataflow's tasks, newest first
SELECT number FROM tasks
 WHERE data_flow_number = :data_flow_number AND number < :before ORDER BY number DESC LIMIT :limit;

-- page_by_status: numbers of a dataflow's tasks in one status, newest first
SELECT number FROM tasks
 WHERE data_flow_number = :data_flow_number AND status = :status AND number < :before ORDER BY number DESC LIMIT :limit;

-- bare: ended tasks of a deleted dataflow that have no sub-task and no report any more
SELECT tasks.number FROM tasks
 WHERE tasks.data_flow_number = :data_flow_number
   AND NOT EXISTS (SELECT 1 FROM sub_tasks WHERE sub_tasks.task_number = tasks.number AND batch = 0)
   AND NOT EXISTS (SELECT 1 FROM sub_tasks WHERE sub_tasks.task_number = tasks.number AND batch > 0)
   AND NOT EXISTS (SELECT 1 FROM report_segments WHERE report_segments.task_number = tasks.number)
 ORDER BY tasks.number LIMIT :limit;

-- forget: remove tasks
DELETE FROM tasks WHERE number IN ({list numbers});

-- last_number: the newest number ever given to a task that is still known
SELECT COALESCE(MAX(number), 0) AS number FROM tasks;

-- live_sub_tasks: sub-tasks that are not final; only tasks that take sub-tasks have any
SELECT SUM(tasks.created) AS created, SUM(tasks.running) AS running, SUM(tasks.canceling) AS canceling
  FROM data_flows CROSS JOIN tasks
 WHERE tasks.data_flow_number = data_flows.number AND tasks.status IN ({when task.busy});
