-- The newest moment that a service saw, as it renewed its leases or closed: one that starts in an earlier one knows by that how far
-- the clock was put back.

ALTER TABLE openings ADD COLUMN seen_ns BIGINT NOT NULL DEFAULT 0;
