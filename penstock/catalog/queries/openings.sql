-- last: how the catalog was left
SELECT boot_id, in_doubt FROM openings;

-- open: from here on claims may be forgotten again
UPDATE openings SET boot_id = :boot_id, in_doubt = :in_doubt;

-- close: all that was ever done here is on stable storage with this
UPDATE openings SET boot_id = '';
