-- Nonces of calls: two tables of which one is filled; the older one is emptied whole when all of it is old enough.

CREATE TABLE nonces_even (
    digest           {number_key}
);

CREATE TABLE nonces_odd (
    digest           {number_key}
);

CREATE TABLE nonce_turn (
    odd              BIGINT NOT NULL,
    since_ns         BIGINT NOT NULL
);
INSERT INTO nonce_turn (odd, since_ns) VALUES (0, 0);
