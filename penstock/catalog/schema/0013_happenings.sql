-- For people to look at: what befell sub-tasks on their way, and what ended when. A plain success leaves no row of its own.
-- Tables that begin empty, and sums over tasks, of which there are few: however many sub-tasks there are, this takes no time.

CREATE TABLE happenings (
    sub_task_number  BIGINT NOT NULL,
    place            BIGINT NOT NULL,  -- 0 is the first one; of the others the newest are kept
    data_flow_number BIGINT NOT NULL,
    kind             TEXT   NOT NULL,
    at_ns            BIGINT NOT NULL,
    last_ns          BIGINT NOT NULL,  -- of so many of the same kind and code in a row
    times            BIGINT NOT NULL,
    attempt          BIGINT NOT NULL,
    due_ns           BIGINT NOT NULL,
    code             TEXT   NOT NULL,
    message          TEXT   NOT NULL,
    PRIMARY KEY (sub_task_number, place)
);
CREATE INDEX happenings_lately ON happenings (data_flow_number, last_ns, sub_task_number);

-- What ended in an hour, by when that began.
CREATE TABLE flow_hours (
    hour_ns          BIGINT NOT NULL,
    data_flow_number BIGINT NOT NULL,
    complete         BIGINT NOT NULL,
    failed           BIGINT NOT NULL,
    canceled         BIGINT NOT NULL,
    expired          BIGINT NOT NULL,
    bytes_in         BIGINT NOT NULL,
    bytes_out        BIGINT NOT NULL,
    PRIMARY KEY (hour_ns, data_flow_number)
);

-- What ended ever, and what is being withdrawn now.
CREATE TABLE flow_totals (
    data_flow_number {number_key},
    canceling        BIGINT NOT NULL,
    complete         BIGINT NOT NULL,
    failed           BIGINT NOT NULL,
    canceled         BIGINT NOT NULL,
    expired          BIGINT NOT NULL,
    bytes_in         BIGINT NOT NULL,
    bytes_out        BIGINT NOT NULL
);
INSERT INTO flow_totals (data_flow_number, canceling, complete, failed, canceled, expired, bytes_in, bytes_out)
SELECT data_flow_number, SUM(canceling), SUM(complete), SUM(failed), SUM(canceled), SUM(expired),
       SUM(CASE WHEN action IN ({when task.importing}) THEN actual_bytes ELSE 0 END),
       SUM(CASE WHEN action IN ({when task.importing}) THEN 0 ELSE actual_bytes END)
  FROM tasks GROUP BY data_flow_number;

ALTER TABLE data_flows ADD COLUMN accepted BIGINT NOT NULL DEFAULT 0;
UPDATE data_flows
   SET accepted = COALESCE((SELECT SUM(tasks.accepted) FROM tasks WHERE tasks.data_flow_number = data_flows.number), 0);

-- Since when hours are counted; 0 until the catalog is opened.
CREATE TABLE counting (
    since_ns         BIGINT NOT NULL
);
INSERT INTO counting (since_ns) VALUES (0);
