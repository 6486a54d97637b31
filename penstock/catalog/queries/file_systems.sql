-- promise: a file system that is to be registered
INSERT INTO file_systems (file_system_id, data_flows, filesets, made) VALUES (:file_system_id, 0, 0, 0);

-- one: what is known of a file system
SELECT * FROM file_systems WHERE file_system_id = :file_system_id;

-- be_made: it is registered
UPDATE file_systems SET made = 1 WHERE file_system_id = :file_system_id;

-- withdraw: one that could not be registered
DELETE FROM file_systems WHERE file_system_id = :file_system_id AND made = 0;

-- forget: one that is registered no more and has nothing
DELETE FROM file_systems WHERE file_system_id = :file_system_id AND data_flows = 0 AND filesets = 0;
