-- The ledger. Numbers are creation times in nanoseconds, made unique: they are keys and sort orders at once.
-- Times are BIGINT nanoseconds UTC; 0 means "not yet". Flags are 0 or 1.

CREATE TABLE file_systems (
    file_system_id   TEXT {bytewise} PRIMARY KEY,
    data_flows       BIGINT NOT NULL
);

CREATE TABLE buckets (
    name             TEXT {bytewise} PRIMARY KEY,
    data_flows       BIGINT NOT NULL
);

CREATE TABLE data_flows (
    number               {number_key},
    data_flow_id         TEXT   NOT NULL,
    file_system_id       TEXT   {bytewise} NOT NULL,
    file_system_path     TEXT   NOT NULL,
    source_storage       TEXT   NOT NULL,
    source_storage_path  TEXT   NOT NULL,
    source_security_type TEXT   NOT NULL,
    description          TEXT   NOT NULL,
    bucket               TEXT   NOT NULL,
    status               TEXT   NOT NULL,
    error_message        TEXT   NOT NULL,
    created_ns           BIGINT NOT NULL,
    updated_ns           BIGINT NOT NULL,
    live_tasks           BIGINT NOT NULL,
    waiting              BIGINT NOT NULL,
    stopped_ns           BIGINT NOT NULL,  -- time spent not Running, up to stopped_since_ns
    stopped_since_ns     BIGINT NOT NULL   -- 0 while Running
);
CREATE INDEX data_flows_visible ON data_flows (file_system_id, number) WHERE status <> 'Deleted';

CREATE TABLE tasks (
    number                      {number_key},
    task_id                     TEXT   NOT NULL,
    data_flow_number            BIGINT NOT NULL,
    action                      TEXT   NOT NULL,
    data_type                   TEXT   NOT NULL,
    conflict_policy             TEXT   NOT NULL,
    directory                   TEXT   NOT NULL,
    target_directory            TEXT   NOT NULL,
    create_dir_if_not_exist     BIGINT NOT NULL,
    originator                  TEXT   NOT NULL,
    status                      TEXT   NOT NULL,
    error_message               TEXT   NOT NULL,
    created_ns                  BIGINT NOT NULL,
    started_ns                  BIGINT NOT NULL,
    ended_ns                    BIGINT NOT NULL,
    accepted                    BIGINT NOT NULL DEFAULT 0,
    created                     BIGINT NOT NULL DEFAULT 0,
    running                     BIGINT NOT NULL DEFAULT 0,
    canceling                   BIGINT NOT NULL DEFAULT 0,
    complete                    BIGINT NOT NULL DEFAULT 0,
    failed                      BIGINT NOT NULL DEFAULT 0,
    canceled                    BIGINT NOT NULL DEFAULT 0,
    expired                     BIGINT NOT NULL DEFAULT 0,
    moved                       BIGINT NOT NULL DEFAULT 0,
    bytes_total                 BIGINT NOT NULL DEFAULT 0,
    bytes_done                  BIGINT NOT NULL DEFAULT 0,
    actual_bytes                BIGINT NOT NULL DEFAULT 0,
    moving_ns                   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX tasks_of_data_flow ON tasks (data_flow_number, number);
CREATE INDEX tasks_by_status ON tasks (data_flow_number, status, number);

CREATE TABLE sub_tasks (
    number               {number_key},
    sub_task_id          TEXT   NOT NULL,
    data_flow_number     BIGINT NOT NULL,
    task_number          BIGINT NOT NULL,
    status               TEXT   NOT NULL,
    queue                TEXT   NOT NULL,  -- where it stands when it can be claimed: small, large, …-again, clear; else ''
    lane                 TEXT   NOT NULL,
    turn                 BIGINT NOT NULL,  -- at its target: 1 first, 2 behind a live sub-task, 0 gone (final)
    line                 TEXT   {bytewise} NOT NULL,  -- the target's name, long ones shortened to a digest
    owner                TEXT   {bytewise} NOT NULL,  -- who holds the lease; '' nobody
    attempt              BIGINT NOT NULL,
    failures             BIGINT NOT NULL,
    due_ns               BIGINT NOT NULL,
    source               TEXT   NOT NULL,
    source_digest        BIGINT NOT NULL,
    target               TEXT   NOT NULL,
    target_digest        BIGINT NOT NULL,
    rival                TEXT   NOT NULL,
    condition_modify_ns  BIGINT,
    condition_size       BIGINT,
    created_ns           BIGINT NOT NULL,
    stopped_before_ns    BIGINT NOT NULL,  -- the dataflow's stopped_ns at creation
    started_ns           BIGINT NOT NULL,
    ended_ns             BIGINT NOT NULL,
    bytes_total          BIGINT NOT NULL,
    bytes_done           BIGINT NOT NULL,
    actual_bytes         BIGINT NOT NULL,
    moving_ns            BIGINT NOT NULL,
    progress_attempt     BIGINT NOT NULL,  -- the attempt that bytes_done is of
    detail_modify_ns     BIGINT,
    detail_size          BIGINT,
    detail_checksum      TEXT   NOT NULL,
    error_code           TEXT   NOT NULL,
    error_message        TEXT   NOT NULL,
    guarantee            TEXT   NOT NULL,
    note                 TEXT   NOT NULL,
    tidy                 BIGINT NOT NULL,
    checkpoint           TEXT   NOT NULL
);
CREATE INDEX sub_tasks_of_data_flow ON sub_tasks (data_flow_number, number);
CREATE INDEX sub_tasks_by_status ON sub_tasks (data_flow_number, status, number);
CREATE INDEX sub_tasks_of_task ON sub_tasks (task_number, status, number);
-- The path's head keeps neighbours together, the digest keeps entries short and exact.
CREATE INDEX sub_tasks_by_source ON sub_tasks (data_flow_number, substr(source, 1, 120), source_digest, number);
CREATE INDEX sub_tasks_by_target ON sub_tasks (data_flow_number, substr(target, 1, 120), target_digest, number);
CREATE INDEX sub_tasks_queued ON sub_tasks (queue, data_flow_number, task_number, due_ns, number) WHERE queue <> '';
CREATE INDEX sub_tasks_due ON sub_tasks (queue, data_flow_number, due_ns) WHERE queue <> '';
CREATE INDEX sub_tasks_owned ON sub_tasks (owner, status, number) WHERE owner <> '';
CREATE INDEX sub_tasks_ended ON sub_tasks (ended_ns, number) WHERE ended_ns > 0;
-- One live sub-task at a time stands first at a target.
CREATE UNIQUE INDEX sub_tasks_first ON sub_tasks (line) WHERE turn = 1;
CREATE INDEX sub_tasks_behind ON sub_tasks (line, number) WHERE turn = 2;

CREATE TABLE leases (
    owner            TEXT   {bytewise} PRIMARY KEY,
    until_ns         BIGINT NOT NULL
);

CREATE TABLE client_tokens (
    number           {number_key},
    access_key_id    TEXT   {bytewise} NOT NULL,
    client_token     TEXT   {bytewise} NOT NULL,
    fingerprint      TEXT   NOT NULL,
    result           TEXT   NOT NULL
);
CREATE UNIQUE INDEX client_tokens_by_key ON client_tokens (access_key_id, client_token);
