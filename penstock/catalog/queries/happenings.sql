-- newest: the last happening of each of these sub-tasks
SELECT sub_task_number, place, kind, code FROM happenings
 WHERE sub_task_number IN ({list numbers})
   AND place = (SELECT MAX(place) FROM happenings AS others WHERE others.sub_task_number = happenings.sub_task_number);

-- add: something else happened
INSERT INTO happenings (sub_task_number, place, data_flow_number, kind, at_ns, last_ns, times, attempt, due_ns, code, message)
VALUES {rows (:sub_task_number, :place, :data_flow_number, :kind, :now_ns, :now_ns, 1, :attempt, :due_ns, :code, :message)};

-- again: the same happened once more
UPDATE happenings SET last_ns = :now_ns, times = times + 1, attempt = :attempt, due_ns = :due_ns, message = :message
 WHERE sub_task_number = :sub_task_number AND place = :place;

-- drop: the oldest after the first one, where there are too many
DELETE FROM happenings WHERE sub_task_number = :sub_task_number AND place > 0 AND place <= :place;

-- rescue: all that an owner held has lost it
INSERT INTO happenings (sub_task_number, place, data_flow_number, kind, at_ns, last_ns, times, attempt, due_ns, code, message)
SELECT number, COALESCE((SELECT MAX(place) + 1 FROM happenings WHERE sub_task_number = sub_tasks.number), 0), data_flow_number, :kind,
       CAST(:now_ns AS BIGINT), CAST(:now_ns AS BIGINT), 1, attempt, 0, '', ''
  FROM sub_tasks WHERE owner <> '' AND owner = :owner;

-- drop_owned: the oldest after the first one, of all that an owner held
DELETE FROM happenings
 WHERE sub_task_number IN (SELECT number FROM sub_tasks WHERE owner <> '' AND owner = :owner) AND place > 0
   AND place <= (SELECT MAX(place) FROM happenings AS others WHERE others.sub_task_number = happenings.sub_task_number) - :kept;

-- of: all that is kept of one sub-task, oldest first
SELECT * FROM happenings WHERE sub_task_number = :sub_task_number ORDER BY place;

-- lately: what happened in a dataflow, newest first
SELECT * FROM happenings
 WHERE data_flow_number = :data_flow_number AND last_ns > :since_ns
 ORDER BY last_ns DESC, sub_task_number DESC LIMIT :limit;

-- forget: these sub-tasks are not known any more
DELETE FROM happenings WHERE sub_task_number IN ({list numbers});
