-- older_of_data_flow: a dataflow's sub-tasks between two numbers, newest first
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND number < :before AND number > :after AND batch = 0
 ORDER BY number DESC LIMIT :limit;

-- newer_of_data_flow: the same, oldest first
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND number < :before AND number > :after AND batch = 0
 ORDER BY number LIMIT :limit;

-- older_by_status: a dataflow's sub-tasks in one status between two numbers, newest first
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND status = :status AND number < :before AND number > :after AND batch = 0
 ORDER BY number DESC LIMIT :limit;

-- newer_by_status: the same, oldest first
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND status = :status AND number < :before AND number > :after AND batch = 0
 ORDER BY number LIMIT :limit;

-- older_of_task: a task's sub-tasks in one status between two numbers, newest first
SELECT number FROM sub_tasks
 WHERE task_number = :task_number AND status = :status AND number < :before AND number > :after AND batch = 0
 ORDER BY number DESC LIMIT :limit;

-- newer_of_task: the same, oldest first
SELECT number FROM sub_tasks
 WHERE task_number = :task_number AND status = :status AND number < :before AND number > :after AND batch = 0
 ORDER BY number LIMIT :limit;

-- from_source: a dataflow's sub-tasks whose source's head lies between two texts
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND substr(source, 1, 120) >= :low AND substr(source, 1, 120) < :high
   AND batch = 0 LIMIT :limit;

-- to_target: a dataflow's sub-tasks whose target's head lies between two texts
SELECT number FROM sub_tasks
 WHERE data_flow_number = :data_flow_number AND substr(target, 1, 120) >= :low AND substr(target, 1, 120) < :high
   AND batch = 0 LIMIT :limit;

-- slim: what filters look at
SELECT sub_tasks.number, sub_tasks.data_flow_number, sub_tasks.task_number, sub_tasks.status, sub_tasks.source, sub_tasks.target,
       sub_tasks.bytes_total, CASE WHEN tasks.action IN ({when task.importing}) THEN 1 ELSE 0 END AS importing
  FROM sub_tasks JOIN tasks ON tasks.number = sub_tasks.task_number
 WHERE sub_tasks.number IN ({list numbers});

-- due_before: how many stand in a queue of a task and were due before a moment, up to a bound
SELECT COUNT(*) AS number FROM (
    SELECT 1 FROM sub_tasks
     WHERE queue <> '' AND queue = :queue AND data_flow_number = :data_flow_number AND task_number = :task_number
       AND due_ns < :due_ns LIMIT :limit) AS counted;

-- made_before: how many stand in a queue of a task, are due at a moment, and have a smaller number, up to a bound
SELECT COUNT(*) AS number FROM (
    SELECT 1 FROM sub_tasks
     WHERE queue <> '' AND queue = :queue AND data_flow_number = :data_flow_number AND task_number = :task_number
       AND due_ns = :due_ns AND number < :number LIMIT :limit) AS counted;

-- standing: how many stand in a queue of a dataflow, and how many of them are due later, up to a bound
SELECT COUNT(*) AS number, SUM(CASE WHEN due_ns > CAST(:now_ns AS BIGINT) THEN 1 ELSE 0 END) AS later FROM (
    SELECT due_ns FROM sub_tasks
     WHERE queue <> '' AND queue = :queue AND data_flow_number = :data_flow_number LIMIT :limit) AS counted;

-- first_at: the live sub-task that stands first at a target
SELECT sub_task_id FROM sub_tasks WHERE turn = 1 AND line = :line;

-- behind_before: how many stand behind it, and before a number, up to a bound
SELECT COUNT(*) AS number FROM (
    SELECT 1 FROM sub_tasks WHERE turn = 2 AND line = :line AND number < :number LIMIT :limit) AS counted;

-- last_ended: what ended last, newest first
SELECT ended_ns, number FROM sub_tasks WHERE ended_ns > 0 AND batch = 0 ORDER BY ended_ns DESC, number DESC LIMIT :limit;

-- ids: the ids of these, and their dataflows
SELECT number, sub_task_id, data_flow_number FROM sub_tasks WHERE number IN ({list numbers}) AND batch = 0;
