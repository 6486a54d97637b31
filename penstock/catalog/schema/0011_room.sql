-- What waits for room, or for a file system that is away, by task: a look at one place is a few seeks then, however much waits elsewhere or there. Nothing else stands in
-- this one, so that neither new work nor what ends touches it.

CREATE INDEX sub_tasks_without_room ON sub_tasks (data_flow_number, task_number, due_ns)
 WHERE queue <> '' AND due_ns > 0 AND error_code IN ('NoSpace', 'ReadOnlyFileSystem', 'FileSystemUnavailable');
