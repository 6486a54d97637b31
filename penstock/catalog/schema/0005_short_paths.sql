-- The indexes hold the first 120 characters of a path; where that is all of it, no digest has to tell it apart from others.

UPDATE sub_tasks SET source_digest = 0 WHERE length(source) <= 120 AND source_digest <> 0;
UPDATE sub_tasks SET target_digest = 0 WHERE length(target) <= 120 AND target_digest <> 0;
