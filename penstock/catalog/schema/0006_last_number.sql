-- The newest number ever given, as it was when rows were last removed: ids are made of numbers, and none is given twice.

CREATE TABLE last_number (
    number           BIGINT NOT NULL
);
INSERT INTO last_number (number) VALUES (0);
