-- Batch tasks: what they were asked to move, how far their source was listed, and what became of each file once its row is gone.
-- The indexes of the API's lists hold the sub-tasks of streams alone: those of a batch are nobody's to list, and cost none of them.

ALTER TABLE sub_tasks ADD COLUMN batch BIGINT NOT NULL DEFAULT 0;  -- 0: of a stream; 1: of a batch; 2: the same, in the report by now
ALTER TABLE sub_tasks ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;   -- COMPLETE because the target was kept

DROP INDEX sub_tasks_of_data_flow;
DROP INDEX sub_tasks_by_status;
DROP INDEX sub_tasks_of_task;
DROP INDEX sub_tasks_by_source;
DROP INDEX sub_tasks_by_target;
CREATE INDEX sub_tasks_of_data_flow ON sub_tasks (data_flow_number, number) WHERE batch = 0;
CREATE INDEX sub_tasks_by_status ON sub_tasks (data_flow_number, status, number) WHERE batch = 0;
CREATE INDEX sub_tasks_of_task ON sub_tasks (task_number, status, number) WHERE batch = 0;
CREATE INDEX sub_tasks_by_source ON sub_tasks (data_flow_number, substr(source, 1, 120), source_digest, number) WHERE batch = 0;
CREATE INDEX sub_tasks_by_target ON sub_tasks (data_flow_number, substr(target, 1, 120), target_digest, number) WHERE batch = 0;
CREATE INDEX sub_tasks_of_batch ON sub_tasks (task_number, batch, turn, number) WHERE batch > 0;

CREATE TABLE selections (
    task_number      {number_key},
    entry_list       TEXT   NOT NULL,
    includes         TEXT   NOT NULL,
    file_list_path   TEXT   NOT NULL
);

CREATE TABLE batches (
    task_number      {number_key},
    data_flow_number BIGINT NOT NULL,
    place            BIGINT NOT NULL,  -- 2: it waits for one of its dataflow's places, 1: it has one, 0: it has ended
    seek             TEXT   NOT NULL,  -- how far its source was listed
    listed           BIGINT NOT NULL,  -- 1: to the end, or given up
    trouble_code     TEXT   NOT NULL,  -- why listing was given up, '' if it was not
    success          BIGINT NOT NULL,  -- lines of each report
    skipped          BIGINT NOT NULL,
    failed           BIGINT NOT NULL,
    report_path      TEXT   NOT NULL   -- where in the bucket they lie, '' while nowhere
);
CREATE INDEX batches_placed ON batches (place, data_flow_number, task_number) WHERE place > 0;

CREATE TABLE report_segments (
    number           {number_key},
    task_number      BIGINT NOT NULL,
    report           TEXT   {bytewise} NOT NULL,
    size_bytes       BIGINT NOT NULL,  -- of its lines as they are read
    packed           TEXT   NOT NULL   -- they themselves, compressed
);
CREATE TABLE report_key (
    secret           TEXT   NOT NULL   -- what links to reports are signed with
);
CREATE INDEX report_segments_of_task ON report_segments (task_number, report, number);
