-- The indexes hold the first 120 characters of a path; where that is all of it, no digest has to tell it apart from others.
-- Without the indexes meanwhile: each row would move its entries in them one by one.

DROP INDEX sub_tasks_by_source;
DROP INDEX sub_tasks_by_target;
UPDATE sub_tasks
   SET source_digest = CASE WHEN length(source) <= 120 THEN 0 ELSE source_digest END,
       target_digest = CASE WHEN length(target) <= 120 THEN 0 ELSE target_digest END;
CREATE INDEX sub_tasks_by_source ON sub_tasks (data_flow_number, substr(source, 1, 120), source_digest, number);
CREATE INDEX sub_tasks_by_target ON sub_tasks (data_flow_number, substr(target, 1, 120), target_digest, number);
