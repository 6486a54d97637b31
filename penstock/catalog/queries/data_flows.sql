-- greet_file_system: the parent row of a file system's dataflows, if it is not there yet
INSERT INTO file_systems (file_system_id, data_flows) VALUES (:file_system_id, 0) ON CONFLICT DO NOTHING;

-- greet_bucket: the parent row of a bucket's dataflows, if it is not there yet
INSERT INTO buckets (name, data_flows) VALUES (:bucket, 0) ON CONFLICT DO NOTHING;

-- count_in_file_system: one dataflow more, below the bound
UPDATE file_systems SET data_flows = data_flows + 1
 WHERE file_system_id = :file_system_id AND data_flows < :data_flows_max;

-- count_in_bucket: one dataflow more, the second only on a versioned bucket
UPDATE buckets SET data_flows = data_flows + 1 WHERE name = :bucket AND (data_flows = 0 OR :versioned = 1);

-- leave_file_system: one dataflow less
UPDATE file_systems SET data_flows = data_flows - 1 WHERE file_system_id = :file_system_id;

-- leave_bucket: one dataflow less
UPDATE buckets SET data_flows = data_flows - 1 WHERE name = :bucket;

-- add: a new dataflow, at once or in transition
INSERT INTO data_flows (number, data_flow_id, file_system_id, file_system_path, source_storage, source_storage_path,
    source_security_type, description, bucket, fset_id, status, error_message, created_ns, updated_ns, live_tasks, waiting,
    stopped_ns, stopped_since_ns, due_ns, throughput, bandwidth)
VALUES (:number, :data_flow_id, :file_system_id, :file_system_path, :source_storage, :source_storage_path,
    :source_security_type, :description, :bucket, :fset_id,
    CASE WHEN CAST(:due_ns AS BIGINT) = 0 THEN {after data_flow.create} ELSE {after data_flow.create_slowly} END,
    '', :now_ns, :now_ns, 0, 0, 0, CASE WHEN CAST(:due_ns AS BIGINT) = 0 THEN 0 ELSE CAST(:now_ns AS BIGINT) END, :due_ns,
    :throughput, :bandwidth);

-- visible: one dataflow, unless it is deleted
SELECT * FROM data_flows
 WHERE number = :number AND data_flow_id = :data_flow_id AND file_system_id = :file_system_id
   AND status NOT IN ({when data_flow.gone});

-- of_file_system: all visible dataflows of a file system, newest first
SELECT * FROM data_flows
 WHERE file_system_id = :file_system_id AND status <> 'Deleted' ORDER BY number DESC;

-- by_numbers: dataflows, in any order
SELECT * FROM data_flows WHERE number IN ({list numbers});

-- watched: dataflows whose bucket is looked after
SELECT * FROM data_flows WHERE status IN ({when data_flow.watch}) ORDER BY number;

-- waiting: dataflows with sub-tasks that have not started
SELECT * FROM data_flows WHERE waiting > 0 ORDER BY number;

-- limited: dataflows that may only move so much
SELECT data_flow_id, throughput, bandwidth FROM data_flows
 WHERE throughput + bandwidth > 0 AND status NOT IN ({when data_flow.gone});

-- modify: another description, other limits
UPDATE data_flows SET description = :description, throughput = :throughput, bandwidth = :bandwidth, updated_ns = :now_ns
 WHERE number = :number AND status IN ({when data_flow.modify});

-- modify_slowly: the same, and a time in which no work starts
UPDATE data_flows SET status = {after data_flow.modify_slowly}, description = :description, throughput = :throughput,
    bandwidth = :bandwidth, updated_ns = :now_ns, due_ns = :due_ns, stopped_since_ns = CASE WHEN stopped_since_ns = 0 THEN :now_ns ELSE stopped_since_ns END
 WHERE number = :number AND status IN ({before data_flow.modify_slowly});

-- stop: no new work starts
UPDATE data_flows SET
    status = CASE WHEN CAST(:due_ns AS BIGINT) = 0 THEN {after data_flow.stop} ELSE {after data_flow.stop_slowly} END,
    error_message = '', updated_ns = :now_ns, due_ns = :due_ns,
    stopped_since_ns = CASE WHEN stopped_since_ns = 0 THEN :now_ns ELSE stopped_since_ns END
 WHERE number = :number AND status IN ({before data_flow.stop});

-- start: work may start again
UPDATE data_flows SET status = {after data_flow.start}, updated_ns = :now_ns,
    stopped_ns = stopped_ns + (:now_ns - stopped_since_ns), stopped_since_ns = 0
 WHERE number = :number AND status IN ({before data_flow.start});

-- start_slowly: work may start again, but not yet
UPDATE data_flows SET status = {after data_flow.start_slowly}, updated_ns = :now_ns, due_ns = :due_ns
 WHERE number = :number AND status IN ({before data_flow.start_slowly});

-- lose_source: the bucket cannot be reached for good reasons
UPDATE data_flows SET status = {after data_flow.lose_source}, error_message = :error_message, updated_ns = :now_ns,
    stopped_since_ns = :now_ns
 WHERE number = :number AND status IN ({before data_flow.lose_source});

-- find_source: the bucket is back
UPDATE data_flows SET status = {after data_flow.find_source}, error_message = '', updated_ns = :now_ns,
    stopped_ns = stopped_ns + (:now_ns - stopped_since_ns), stopped_since_ns = 0
 WHERE number = :number AND status IN ({before data_flow.find_source});

-- delete: out of sight, or on the way there, if nothing in it is live
UPDATE data_flows SET
    status = CASE WHEN CAST(:due_ns AS BIGINT) = 0 THEN {after data_flow.delete} ELSE {after data_flow.delete_slowly} END,
    updated_ns = :now_ns, due_ns = :due_ns,
    stopped_since_ns = CASE WHEN stopped_since_ns = 0 THEN :now_ns ELSE stopped_since_ns END
 WHERE number = :number AND live_tasks = 0 AND status IN ({before data_flow.delete});

-- in_transition: dataflows whose transition is over, longest first
SELECT number, file_system_id, bucket FROM data_flows WHERE due_ns > 0 AND due_ns <= :now_ns ORDER BY due_ns LIMIT :limit;

-- next_transition: when the first transition of a dataflow is over
SELECT MIN(due_ns) AS due_ns FROM data_flows WHERE due_ns > 0;

-- put_back: a delay stays as long as it was when the clock was put back
UPDATE data_flows SET due_ns = CASE WHEN due_ns - :back_ns > :now_ns THEN due_ns - :back_ns ELSE :now_ns END
 WHERE due_ns > 0 AND due_ns > :now_ns;

-- become_misconfigured: it was so before it was modified, and it waits for its bucket still
UPDATE data_flows SET status = {after data_flow.become_misconfigured}, updated_ns = :now_ns, due_ns = 0
 WHERE number = :number AND error_message <> '' AND status IN ({before data_flow.become_misconfigured});

-- become_running: work may start
UPDATE data_flows SET status = {after data_flow.become_running}, updated_ns = :now_ns, due_ns = 0,
    stopped_ns = stopped_ns + (:now_ns - stopped_since_ns), stopped_since_ns = 0
 WHERE number = :number AND status IN ({before data_flow.become_running});

-- become_stopped: it is stopped for good
UPDATE data_flows SET status = {after data_flow.become_stopped}, updated_ns = :now_ns, due_ns = 0
 WHERE number = :number AND status IN ({before data_flow.become_stopped});

-- become_deleted: out of sight
UPDATE data_flows SET status = {after data_flow.become_deleted}, updated_ns = :now_ns, due_ns = 0
 WHERE number = :number AND status IN ({before data_flow.become_deleted});

-- take_task: one live task more, if work may start
UPDATE data_flows SET live_tasks = live_tasks + 1 WHERE number = :number AND status IN ({when data_flow.work});

-- leave_task: one live task less
UPDATE data_flows SET live_tasks = live_tasks - 1 WHERE number = :number;

-- take_sub_tasks: more waiting sub-tasks, if work may start and the bound allows it
UPDATE data_flows SET waiting = waiting + :accepted, accepted = accepted + :accepted
 WHERE number = :number AND data_flow_id = :data_flow_id AND file_system_id = :file_system_id
   AND status IN ({when data_flow.work}) AND waiting + :accepted <= :waiting_max
RETURNING stopped_ns;

-- list_more: so many entries that a batch of it has listed
UPDATE data_flows SET accepted = accepted + :accepted WHERE number = :number;

-- count_waiting: waiting sub-tasks started or gone
UPDATE data_flows SET waiting = waiting + :waiting WHERE number = :number;

-- deleted: deleted dataflows of which something is left
SELECT number FROM data_flows WHERE status IN ({when data_flow.gone}) ORDER BY number;

-- forget: remove a deleted dataflow that holds nothing any more
DELETE FROM data_flows
 WHERE number = :number AND status IN ({when data_flow.gone})
   AND NOT EXISTS (SELECT 1 FROM sub_tasks WHERE sub_tasks.data_flow_number = data_flows.number AND batch = 0)
   AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.data_flow_number = data_flows.number);

-- last_number: the newest number ever given to a dataflow that is still known
SELECT COALESCE(MAX(number), 0) AS number FROM data_flows;

-- keep_number: the newest number ever given, where the row that had it may be removed
UPDATE last_number SET number = :number;

-- kept_number: the newest number given when rows were last removed
SELECT number FROM last_number;
