-- The ledger. What a run was frozen from (`messages`, `media`) never changes; what happens to
-- it (`deliveries`, `attempts`) does. The two are apart so that a state change rewrites a small
-- row, and so that the proof has something to hold on to.
-- All instants are integer milliseconds UTC.

-- 'sndf': tells a ledger from the files of other programs.
PRAGMA application_id = 1936614502;

CREATE TABLE runs (
    id             INTEGER PRIMARY KEY,
    run            TEXT    NOT NULL UNIQUE,
    campaign       TEXT    NOT NULL,
    occurrence     TEXT    NOT NULL,
    gateway        TEXT    NOT NULL,
    state          TEXT    NOT NULL
        CHECK (state IN ('running', 'paused', 'halted', 'finished', 'cancelled')),
    reason         TEXT,
    terms          TEXT    NOT NULL,
    files          TEXT    NOT NULL,
    -- deliveries of a run stand together: first_delivery .. first_delivery + total - 1
    first_delivery INTEGER NOT NULL,
    total          INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    starts_at      INTEGER NOT NULL,
    finished_at    INTEGER,
    -- checksums of the list and of this row (see src/domain/history.rs)
    list_sum       INTEGER NOT NULL DEFAULT 0,
    sum            INTEGER NOT NULL DEFAULT 0,
    -- how many events it has; the next one is one higher
    events         INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_campaign ON runs (campaign, id);
-- A worker looks for these about once a second, however long the history is.
CREATE INDEX runs_running ON runs (id) WHERE state = 'running';

-- The lines a run sends from, so that a claim can go line by line.
CREATE TABLE run_lines (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    line   TEXT    NOT NULL,
    PRIMARY KEY (run_id, line)
) WITHOUT ROWID;

-- Frozen: who gets what. `addressed` is 0 for rows that were skipped when the run was frozen,
-- so they cannot stand in the way of a good row for the same person.
CREATE TABLE messages (
    id            INTEGER PRIMARY KEY,
    -- deferred, as for `deliveries`: one that is checked at once makes SQLite copy every page
    -- that a long insert touches, to take the insert back
    run_id        INTEGER NOT NULL REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED,
    step          INTEGER NOT NULL DEFAULT 0,
    row           INTEGER NOT NULL,
    recipient_key TEXT, -- NULL: the phone
    phone         TEXT,
    timezone      TEXT,
    content       TEXT,
    addressed     INTEGER NOT NULL CHECK (addressed IN (0, 1)),
    sum           INTEGER NOT NULL, -- checksum of the row as it was frozen
    CHECK (addressed = 0 OR (phone IS NOT NULL AND content IS NOT NULL))
);
-- One message per person, run and step: the insert decides.
CREATE UNIQUE INDEX messages_phone ON messages (run_id, step, phone) WHERE addressed = 1;
CREATE UNIQUE INDEX messages_key ON messages (run_id, step, recipient_key)
    WHERE addressed = 1 AND recipient_key IS NOT NULL;

-- Mutable: where each message stands. Same id as its message.
CREATE TABLE deliveries (
    id               INTEGER PRIMARY KEY REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
    run_id           INTEGER NOT NULL,
    line             TEXT    NOT NULL,
    -- a list in IN is built anew for every statement; the states that are written most come first
    state            TEXT    NOT NULL CHECK (state = 'pending' OR state = 'sending'
        OR state = 'sent' OR state IN ('delivered', 'read', 'failed', 'uncertain', 'skipped',
        'cancelled')),
    reason           TEXT,
    detail           TEXT,
    hold             TEXT,
    due_at           INTEGER NOT NULL,
    -- what its next attempt is: 0 another one, under no cap; 1 the first, to somebody with a chat;
    -- 2 the first, to somebody without one when the run was frozen
    touch            INTEGER NOT NULL CHECK (touch IN (0, 1, 2)),
    lease_owner      TEXT,
    lease_until      INTEGER,
    attempt          INTEGER NOT NULL DEFAULT 0, -- begun so far; the fence
    tries            INTEGER NOT NULL DEFAULT 0, -- those that count against the limit
    revision         INTEGER NOT NULL DEFAULT 0,
    fixed            TEXT, -- what the first attempt fixed of the request (JSON)
    fixed_sum        INTEGER,
    first_attempt_at INTEGER,
    begun_at         INTEGER,
    unanswered_at    INTEGER, -- when the first of the attempts was begun that are without an answer
    aged_ms          INTEGER NOT NULL DEFAULT 0, -- by how much the clock was set back since
    code             INTEGER,
    message_id       TEXT,
    chat_id          TEXT,
    sent_at          INTEGER,
    delivered_at     INTEGER,
    read_at          INTEGER,
    look_at          INTEGER, -- when the provider is asked again for a receipt; NULL: soon after
                              -- it was sent
    CHECK ((state = 'skipped') = (reason IS NOT NULL)),
    CHECK (state <> 'sending' OR (attempt > 0 AND begun_at IS NOT NULL AND fixed IS NOT NULL)),
    CHECK (sent_at IS NOT NULL OR (state <> 'sent' AND state <> 'delivered' AND state <> 'read'))
);
-- By kind, so that a claim finds what a used-up cap leaves it without reading the whole list.
CREATE INDEX deliveries_due ON deliveries (run_id, line, touch, due_at) WHERE state = 'pending';
CREATE INDEX deliveries_sending ON deliveries (run_id, lease_until) WHERE state = 'sending';
-- By when a receipt is to be asked for. The first look is 10 s after the message was sent.
CREATE INDEX deliveries_look ON deliveries (run_id, COALESCE(look_at, sent_at + 10000))
    WHERE (state = 'sent' OR state = 'delivered') AND message_id IS NOT NULL;
-- Providers with channels instead of numbers tell of a message by its name alone.
CREATE INDEX deliveries_message ON deliveries (message_id)
    WHERE message_id IS NOT NULL AND line >= 'a';

CREATE TABLE attempts (
    delivery_id INTEGER NOT NULL REFERENCES deliveries (id) DEFERRABLE INITIALLY DEFERRED,
    attempt     INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    begun_at    INTEGER NOT NULL,
    ended_at    INTEGER, -- NULL: the process ended before an outcome was recorded
    outcome     TEXT    NOT NULL,
    late        INTEGER NOT NULL DEFAULT 0 CHECK (late IN (0, 1)),
    code        INTEGER,
    http        INTEGER,
    text        TEXT,
    trace_id    TEXT,
    -- where it left the delivery; all NULL when lost
    state       TEXT,
    due_at      INTEGER,
    hold        TEXT,
    tries       INTEGER,
    anew        INTEGER,
    message_id  TEXT,
    chat_id     TEXT,
    sum         INTEGER NOT NULL,
    PRIMARY KEY (delivery_id, attempt)
) WITHOUT ROWID;

-- Everything else that moved a delivery or a run; with the attempts, the whole history.
CREATE TABLE events (
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    seq         INTEGER NOT NULL, -- 1 .. runs.events
    delivery_id INTEGER,          -- NULL: the run
    attempt     INTEGER NOT NULL, -- begun before it
    at          INTEGER NOT NULL,
    what        TEXT    NOT NULL, -- JSON
    sum         INTEGER NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE INDEX events_delivery ON events (delivery_id, seq) WHERE delivery_id IS NOT NULL;

-- Files that messages name, by content.
CREATE TABLE media (
    sha256       TEXT PRIMARY KEY,
    filename     TEXT NOT NULL,
    content_type TEXT NOT NULL,
    bytes        BLOB NOT NULL,
    sum          INTEGER NOT NULL -- checksum of all but the bytes
);

CREATE TABLE uploads (
    gateway       TEXT    NOT NULL,
    sha256        TEXT    NOT NULL,
    attachment_id TEXT    NOT NULL,
    uploaded_at   INTEGER NOT NULL,
    PRIMARY KEY (gateway, sha256)
) WITHOUT ROWID;

-- Whom a gateway has written to, in which chat and from which line.
CREATE TABLE chats (
    gateway TEXT NOT NULL,
    phone   TEXT NOT NULL,
    chat_id TEXT NOT NULL,
    line    TEXT NOT NULL,
    PRIMARY KEY (gateway, phone)
) WITHOUT ROWID;

-- Who people are to a provider that writes to contacts.
CREATE TABLE contacts (
    gateway    TEXT NOT NULL,
    phone      TEXT NOT NULL, -- or an e-mail address
    contact_id TEXT NOT NULL,
    PRIMARY KEY (gateway, phone)
) WITHOUT ROWID;
CREATE INDEX contacts_id ON contacts (gateway, contact_id);

-- Which account a gateway's name stands for in this ledger: chats, keys and uploads are of no
-- use with another one.
CREATE TABLE accounts (
    gateway TEXT PRIMARY KEY,
    account TEXT NOT NULL
) WITHOUT ROWID;

-- Waits that the provider asked for: of one line, of one recipient, or ('' and '') of all. A line
-- that takes no part in messaging is held since `inactive_at`, also past `until_at`: that is when
-- it is looked at again.
CREATE TABLE gates (
    gateway     TEXT    NOT NULL,
    line        TEXT    NOT NULL,
    recipient   TEXT    NOT NULL, -- phone
    asked_at    INTEGER NOT NULL,
    until_at    INTEGER NOT NULL,
    inactive_at INTEGER,
    reason      TEXT    NOT NULL,
    PRIMARY KEY (gateway, recipient, line)
) WITHOUT ROWID;
CREATE INDEX gates_open ON gates (until_at);
CREATE INDEX gates_inactive ON gates (inactive_at) WHERE inactive_at IS NOT NULL;

-- Theoretical arrival times of the speed limits, in microseconds.
CREATE TABLE pace (
    gateway TEXT    NOT NULL,
    subject TEXT    NOT NULL, -- 'account', 'run <run>', 'line <line>'
    tat_us  INTEGER NOT NULL,
    PRIMARY KEY (gateway, subject)
) WITHOUT ROWID;

-- The caps of the day: of a campaign all people newly written to, of a line its first messages.
-- One row each, with when the newest attempt that counts was begun; and one for each day on which
-- somebody was counted.
CREATE TABLE caps (
    gateway  TEXT    NOT NULL,
    subject  TEXT    NOT NULL, -- 'campaign <name>', 'line <line>'
    last_at  INTEGER NOT NULL,
    until_at INTEGER, -- when it has room again, where it had none after that; only to be shown
    PRIMARY KEY (gateway, subject)
) WITHOUT ROWID;
CREATE TABLE cap_days (
    gateway TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    day     INTEGER NOT NULL, -- since 1 January 1970, in the cap's own time zone
    nth     INTEGER NOT NULL, -- its place among the days of the cap, from 0
    taken   INTEGER NOT NULL,
    PRIMARY KEY (gateway, subject, day)
) WITHOUT ROWID;

-- Processes that claim; the leases of one that is gone count as expired.
CREATE TABLE owners (
    owner       TEXT    PRIMARY KEY,
    enlisted_at INTEGER NOT NULL,
    run_id      INTEGER, -- what it works on; NULL: it waits for runs
    worker      TEXT,    -- the process; it has a name here for each run that it works on
    gone        INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)),
    forget_at   INTEGER -- long after it was found gone; until then a lease may name it
) WITHOUT ROWID;

-- Who is not to be written to: one row for each voice that has said anything about a person, with
-- the newest word of each sort. Suppressed while `at` is there and not before `lifted_at`. A claim
-- looks a person up by the key; what was lifted stays, so that a late word is known as old.
CREATE TABLE suppressions (
    phone       TEXT    NOT NULL,
    scope       TEXT    NOT NULL, -- '': everywhere; else the gateway of a rehearsal
    voice       TEXT    NOT NULL CHECK (voice IN ('person', 'operator')),
    at          INTEGER,          -- NULL: only the opposite was said so far
    source      TEXT    CHECK (source IN ('reply', 'operator', 'import', 'api')),
    reason      TEXT,
    run_id      INTEGER,          -- the run that was answered
    event_id    TEXT,             -- the answer
    lifted_at   INTEGER,
    lifted_by   TEXT    CHECK (lifted_by IN ('person', 'operator')),
    lift_reason TEXT,
    CHECK ((at IS NULL) = (source IS NULL)),
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL)),
    PRIMARY KEY (phone, scope, voice)
) WITHOUT ROWID;

-- Everything that was said about anybody, in the order in which it became known.
CREATE TABLE suppression_events (
    id       INTEGER PRIMARY KEY,
    phone    TEXT    NOT NULL,
    scope    TEXT    NOT NULL,
    what     TEXT    NOT NULL CHECK (what IN ('suppressed', 'lifted')),
    source   TEXT    NOT NULL,
    reason   TEXT,
    at       INTEGER NOT NULL,
    noted_at INTEGER NOT NULL,
    run_id   INTEGER,
    event_id TEXT
);
CREATE INDEX suppression_events_phone ON suppression_events (phone, id);

-- What people answered; each once, by the provider's name for it.
CREATE TABLE replies (
    id          INTEGER PRIMARY KEY,
    gateway     TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    phone       TEXT    NOT NULL,
    channel     TEXT    NOT NULL, -- empty: the provider has one way to people
    line        TEXT    NOT NULL,
    chat_id     TEXT,
    text        TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    run_id      INTEGER, -- NULL: no run had written to them before
    delivery_id INTEGER,
    heard       TEXT    NOT NULL CHECK (heard IN ('stop', 'start', 'review', 'nothing')),
    handled_at  INTEGER, -- when it was obeyed, or judged by a person
    UNIQUE (gateway, event_id)
);
CREATE INDEX replies_run ON replies (run_id, at) WHERE run_id IS NOT NULL;
CREATE INDEX replies_review ON replies (phone, id) WHERE heard = 'review' AND handled_at IS NULL;
-- Whether somebody may still be written to freely, over a channel that asks for an answer first.
CREATE INDEX replies_last ON replies (gateway, phone, channel, at) WHERE channel <> '';
CREATE INDEX replies_waiting ON replies (id) WHERE heard = 'review' AND handled_at IS NULL;

-- Up to when everything that people answered a gateway was read, by the provider's clock.
CREATE TABLE readings (
    gateway TEXT    PRIMARY KEY,
    read_to INTEGER NOT NULL
) WITHOUT ROWID;

-- What providers told by themselves, as it came: kept before they are answered, so that it outlives
-- any crash, and taken out a week after it was handled.
CREATE TABLE inbox (
    gateway     TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    kind        TEXT    NOT NULL, -- in the provider's words
    body        TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    due_at      INTEGER NOT NULL, -- when it is to be handled, if it is not yet
    handled_at  INTEGER,
    note        TEXT, -- what became of it
    PRIMARY KEY (gateway, event_id)
);
CREATE INDEX inbox_waiting ON inbox (gateway, due_at) WHERE handled_at IS NULL;
CREATE INDEX inbox_handled ON inbox (handled_at) WHERE handled_at IS NOT NULL;

-- From when on occurrences of a campaign count, and those that were not sent.
CREATE TABLE schedules (
    campaign TEXT    PRIMARY KEY,
    since_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE missed (
    run    TEXT    PRIMARY KEY,
    due_at INTEGER NOT NULL,
    reason TEXT    NOT NULL
) WITHOUT ROWID;

-- The places that this ledger was sent from; the newest is where it is at home. The file beside
-- the ledger repeats that row, and so a copy is told from the ledger itself.
CREATE TABLE places (
    place     INTEGER PRIMARY KEY,
    token     TEXT    NOT NULL UNIQUE,
    taken_at  INTEGER,                    -- NULL: nobody had to be asked
    mark      INTEGER NOT NULL DEFAULT 0, -- groups of attempts begun so far
    marked_at INTEGER,                    -- when the newest of them was begun
    back_from INTEGER                     -- what the clock showed before it was set back
);
INSERT INTO places (token) VALUES (lower(hex(randomblob(16))));

-- Moves of this ledger to or from another store; see src/ledger/copy. It is sent from while
-- there is neither a way out of it nor an unfinished way into it.
CREATE TABLE moves (
    way         TEXT    PRIMARY KEY CHECK (way IN ('to', 'from')),
    store       TEXT    NOT NULL, -- the other one, for people
    token       TEXT    NOT NULL, -- the same in both
    at          INTEGER NOT NULL, -- when the old one was closed
    finished_at INTEGER
) WITHOUT ROWID;
