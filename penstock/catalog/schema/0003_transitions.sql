-- What takes a while on purpose (transition_delay_s): when it becomes what it was asked to be; 0 for what is in no transition.
-- The indexes hold rows in transition only: where there is no delay they stay empty.

ALTER TABLE data_flows ADD COLUMN due_ns BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN due_ns BIGINT NOT NULL DEFAULT 0;
CREATE INDEX data_flows_due ON data_flows (due_ns) WHERE due_ns > 0;
CREATE INDEX tasks_due ON tasks (due_ns) WHERE due_ns > 0;
