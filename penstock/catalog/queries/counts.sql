-- directions: which way the files of these tasks go
SELECT number, CASE WHEN action IN ({when task.importing}) THEN 1 ELSE 0 END AS importing
  FROM tasks WHERE number IN ({list numbers});

-- add_to_totals: what ended in dataflows, and what is being withdrawn (or is no more)
INSERT INTO flow_totals (data_flow_number, canceling, complete, failed, canceled, expired, bytes_in, bytes_out)
VALUES {rows (:data_flow_number, :canceling, :complete, :failed, :canceled, :expired, :bytes_in, :bytes_out)}
ON CONFLICT (data_flow_number) DO UPDATE SET canceling = flow_totals.canceling + excluded.canceling,
    complete = flow_totals.complete + excluded.complete, failed = flow_totals.failed + excluded.failed,
    canceled = flow_totals.canceled + excluded.canceled, expired = flow_totals.expired + excluded.expired,
    bytes_in = flow_totals.bytes_in + excluded.bytes_in, bytes_out = flow_totals.bytes_out + excluded.bytes_out;

-- add_to_hour: what ended in dataflows in this hour
INSERT INTO flow_hours (hour_ns, data_flow_number, complete, failed, canceled, expired, bytes_in, bytes_out)
VALUES {rows (:hour_ns, :data_flow_number, :complete, :failed, :canceled, :expired, :bytes_in, :bytes_out)}
ON CONFLICT (hour_ns, data_flow_number) DO UPDATE SET complete = flow_hours.complete + excluded.complete,
    failed = flow_hours.failed + excluded.failed, canceled = flow_hours.canceled + excluded.canceled,
    expired = flow_hours.expired + excluded.expired, bytes_in = flow_hours.bytes_in + excluded.bytes_in,
    bytes_out = flow_hours.bytes_out + excluded.bytes_out;

-- begin: hours are counted from now on, if they were not before
UPDATE counting SET since_ns = :now_ns WHERE since_ns = 0;

-- since: since when hours are counted
SELECT since_ns FROM counting;

-- totals: what ended ever, by dataflow
SELECT * FROM flow_totals WHERE data_flow_number IN ({list numbers});

-- hours: what ended from an hour on, by hour and dataflow
SELECT * FROM flow_hours WHERE hour_ns >= :since_ns ORDER BY hour_ns;

-- forget_hours: those of long ago
DELETE FROM flow_hours WHERE hour_ns < :before_ns;

-- forget_totals: a dataflow is not known any more
DELETE FROM flow_totals WHERE data_flow_number = :data_flow_number;
