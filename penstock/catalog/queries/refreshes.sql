-- add: how a dataflow is refreshed
INSERT INTO refreshes (data_flow_number, policy, interval_minutes, paths, due_ns, look_ns, task_number, late)
VALUES (:data_flow_number, :policy, :interval_minutes, :paths, :due_ns, 0, 0, 0);

-- change: the same, otherwise
UPDATE refreshes SET policy = :policy, interval_minutes = :interval_minutes, paths = :paths, due_ns = :due_ns
 WHERE data_flow_number = :data_flow_number;

-- at: how a dataflow is refreshed
SELECT * FROM refreshes WHERE data_flow_number = :data_flow_number;

-- of_file_system: how the dataflows of a file system are refreshed
SELECT refreshes.* FROM refreshes JOIN data_flows ON data_flows.number = refreshes.data_flow_number
 WHERE data_flows.file_system_id = :file_system_id;

-- all: how all are, with what a look at them needs
SELECT refreshes.*, data_flows.data_flow_id, data_flows.file_system_id, data_flows.file_system_path, data_flows.source_storage,
       data_flows.source_storage_path, COALESCE(tasks.status, '') AS task_status, COALESCE(tasks.created, 0) AS waiting,
       CASE WHEN data_flows.status IN ({when data_flow.work}) THEN 1 ELSE 0 END AS working,
       CASE WHEN EXISTS (SELECT 1 FROM batches WHERE place > 0 AND place IN (1, 2)
                           AND batches.data_flow_number = data_flows.number AND refresh = 0) THEN 1 ELSE 0 END AS manual
  FROM refreshes JOIN data_flows ON data_flows.number = refreshes.data_flow_number
  LEFT JOIN tasks ON tasks.number = refreshes.task_number
 WHERE data_flows.status NOT IN ({when data_flow.gone}) ORDER BY refreshes.data_flow_number;

-- allow: whether a dataflow may be refreshed from now on; writers wait for each other here
UPDATE data_flows SET updated_ns = :now_ns WHERE number = :number AND status IN ({when data_flow.work});

-- allow_change: whether it may be refreshed otherwise
UPDATE data_flows SET updated_ns = :now_ns WHERE number = :number AND status IN ({when data_flow.refresh});

-- begin_look: a look begins, with nothing found yet
UPDATE refreshes SET look_ns = :now_ns, task_number = 0 WHERE data_flow_number = :data_flow_number AND look_ns = 0;

-- miss_look: no look begins, since what the last one found is still under way
UPDATE refreshes SET late = 1, due_ns = :due_ns WHERE data_flow_number = :data_flow_number AND look_ns = 0;

-- keep_task: the look that is under way has found something
UPDATE refreshes SET task_number = :task_number WHERE data_flow_number = :data_flow_number AND look_ns = :look_ns;

-- end_look: all was looked at
UPDATE refreshes SET look_ns = 0, due_ns = :due_ns, late = :late
 WHERE data_flow_number = :data_flow_number AND look_ns = :look_ns;

-- known: what was seen of objects between two keys
SELECT number, behind, until, packed FROM refresh_known
 WHERE data_flow_number = :data_flow_number AND until > :behind AND behind < :until ORDER BY until, number;

-- add_known: what was seen now
INSERT INTO refresh_known (number, data_flow_number, behind, until, packed)
VALUES (:number, :data_flow_number, :behind, :until, :packed);

-- change_known: a portion that holds less, or less far
UPDATE refresh_known SET behind = :behind, until = :until, packed = :packed WHERE number = :number;

-- forget_known: portions of which nothing is left
DELETE FROM refresh_known WHERE number IN ({list numbers});

-- forget_known_beneath: all that lies between two keys, ends included
DELETE FROM refresh_known WHERE data_flow_number = :data_flow_number AND behind >= :behind AND until <= :until;

-- forget_known_of: what is known of a deleted dataflow
DELETE FROM refresh_known WHERE number IN (
    SELECT number FROM refresh_known WHERE data_flow_number = :data_flow_number LIMIT :limit);

-- forget: a dataflow is gone
DELETE FROM refreshes WHERE data_flow_number = :data_flow_number;
