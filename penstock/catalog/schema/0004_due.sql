-- New work is due at once and needs no index for that: only what waits for a time stands in this one, of whatever queue.

DROP INDEX sub_tasks_due;
CREATE INDEX sub_tasks_due ON sub_tasks (due_ns) WHERE queue <> '' AND due_ns > 0;
