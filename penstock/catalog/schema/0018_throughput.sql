-- How fast a dataflow may be, in MB a second; 0: as fast as can be. `throughput` is what the vendor sells, `bandwidth` our own.

ALTER TABLE data_flows ADD COLUMN throughput BIGINT NOT NULL DEFAULT 0;
ALTER TABLE data_flows ADD COLUMN bandwidth BIGINT NOT NULL DEFAULT 0;
