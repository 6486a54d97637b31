-- Whether an attempt has left helper files where an import's target is to be, or ended without a word on it. Whoever withdraws it,
-- and finds the directory gone, knows by that whether to look there again. Of those under way now nobody knows.

ALTER TABLE sub_tasks ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;
UPDATE sub_tasks SET begun = 1 WHERE turn = 1 AND attempt > 0;
