-- Keys are sequential, rows narrow, indexes partial: what is finished is in no index but its own key.
-- Instants are milliseconds since the epoch. States, modes and kinds are the numbers of the code.

PRAGMA application_id = 1349416045;  -- 'Pntm' in the file's header

CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    type TEXT NOT NULL,
    ruleset INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;

-- The rows lie in the order of acceptance, so that old ones go by range; only the index is random, and it
-- holds nothing but hash and number.
CREATE TABLE identities (
    message INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    body BLOB NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX identities_hash ON identities (hash);

-- A run that is RUNNING holds its present attempt itself (number, step, started_at, epoch); the row in
-- `attempts` is written when that attempt ends. `due_at` is set while PENDING or WAITING; a PENDING run
-- without it stands behind another one of its (rule, key). `first_at`, `retried` and `digest` are the
-- present step's.
CREATE TABLE runs (
    message INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    run INTEGER NOT NULL,
    state INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    due_at INTEGER,
    epoch INTEGER NOT NULL DEFAULT 0,
    number INTEGER NOT NULL DEFAULT 0,
    step INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER,
    first_at INTEGER,
    changed_at INTEGER NOT NULL,
    retried INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    mode INTEGER NOT NULL DEFAULT 0,
    key BLOB,
    paused_ms INTEGER NOT NULL DEFAULT 0,
    held_at INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    digest BLOB,
    made_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (message, rule, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_unfinished ON runs (state, lane, due_at) WHERE state < 10;
CREATE INDEX runs_key ON runs (rule, key, state, due_at, message, run) WHERE key IS NOT NULL AND state < 10;
CREATE INDEX runs_dead ON runs (message, rule, run) WHERE state = 11;

-- A run with what its message says of it: what people look at.
CREATE VIEW run_rows AS
SELECT r.message, r.rule, r.run, r.state, r.lane, r.due_at, r.number, r.step, r.started_at, r.changed_at,
    r.generation, r.mode, r.key, r.reason, r.made_by, r.interrupted, r.paused_ms,
    m.source, m.type, m.received_at, m.ruleset
FROM runs r JOIN messages m ON m.number = r.message;

CREATE TABLE attempts (
    message INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    run INTEGER NOT NULL,
    number INTEGER NOT NULL,
    step INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER NOT NULL,
    detail TEXT NOT NULL,
    digest BLOB NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (message, rule, run, number)
) STRICT, WITHOUT ROWID;

-- Answers of the steps so far: only runs with several steps have a row.
CREATE TABLE answers (
    message INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    run INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (message, rule, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejects (
    number INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    data BLOB NOT NULL,
    meta BLOB NOT NULL
) STRICT;

-- Highest numbers that retention has deleted (numbers are never given twice), and how far it has come.
CREATE TABLE marks (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
    number INTEGER PRIMARY KEY,
    process INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    beat_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

CREATE TABLE names (
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (kind, number),
    UNIQUE (kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE rulesets (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    document BLOB NOT NULL
) STRICT;

CREATE TABLE pinned (
    ruleset INTEGER NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (ruleset, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE files (
    digest BLOB PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE keeps (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
