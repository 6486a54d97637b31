-- What waits for a bucket that answers nothing, or asks to slow down, by dataflow: once it answers, as much as is to be woken is found by a few seeks, however much waits
-- for other buckets or for something else. Nothing else stands in this one, so that neither new work nor what ends touches it.

CREATE INDEX sub_tasks_unanswered ON sub_tasks (data_flow_number, due_ns)
 WHERE queue <> '' AND due_ns > 0 AND error_code IN ('StoreUnavailable', 'StoreThrottled');
