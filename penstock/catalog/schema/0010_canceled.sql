-- When a cancel was asked for that took more than a moment; 0: never. Of those that are withdrawn now nobody noted it.

ALTER TABLE sub_tasks ADD COLUMN canceled_ns BIGINT NOT NULL DEFAULT 0;
UPDATE sub_tasks SET canceled_ns = started_ns WHERE turn = 1 AND status IN ({when sub_task.withdraw});
