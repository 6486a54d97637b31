-- last: how the catalog was left
SELECT boot_id, in_doubt, seen_ns FROM openings;

-- see: it is that late
UPDATE openings SET seen_ns = :now_ns;

-- open: from here on claims may be forgotten again
UPDATE openings SET boot_id = :boot_id, in_doubt = :in_doubt;

-- close: all that was ever done here is on stable storage with this
UPDATE openings SET boot_id = '', seen_ns = :now_ns;
