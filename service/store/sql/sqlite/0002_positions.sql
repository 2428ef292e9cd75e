-- How far each source has come, in its own words. Written in the transaction that stores what it brought.

CREATE TABLE positions (
    source INTEGER NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;
