//! Every statement of the PostgreSQL ledger, named for its meaning. Tests prepare each of them
//! against a freshly migrated database and an aged one. Small numbers are kept as `integer` and
//! leave as `bigint`, as SQLite gives them.

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*

        /// All of them, by name.
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

/// The server's clock in microseconds.
macro_rules! clock {
    () => {
        "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint"
    };
}

/// Owners whose leases count as expired at a time.
macro_rules! dead {
    ($now:literal) => {
        concat!(
            "(SELECT owner FROM owners WHERE gone OR alive_until <= ",
            $now,
            ")"
        )
    };
}

/// Nobody holds the delivery `d` at a time.
macro_rules! free {
    ($now:literal) => {
        concat!(
            "(d.lease_until IS NULL OR d.lease_until <= ",
            $now,
            " OR d.lease_owner IN ",
            dead!($now),
            ")"
        )
    };
}

/// A lock that belongs to a run, till the transaction ends: shared by those who send for it,
/// alone for who changes its state. In memory only: no row is written, and none grows old.
/// 1936614502 is `sndf`, so that other programs' locks are others.
macro_rules! run_lock {
    ($function:literal, $run:expr) => {
        concat!(
            $function,
            "(1936614502, (",
            $run,
            " & 2147483647)::integer)"
        )
    };
}

/// A lock that keeps attempts from beginning while somebody opts out, till the transaction ends.
/// 1936614504 is the copy's.
macro_rules! opt_out_lock {
    ($function:literal) => {
        concat!($function, "(1936614505, 0)")
    };
}

macro_rules! delivery_columns {
    () => {
        "d.id, m.row::bigint, m.step::bigint, m.recipient_key, m.phone, d.line,
            d.revision::bigint, d.state, d.reason, d.detail, d.hold, d.due_at, d.code,
            d.attempt::bigint, d.message_id, d.chat_id, d.sent_at, d.delivered_at, d.read_at,
            d.look_at"
    };
}

macro_rules! event_columns {
    () => {
        "run_id, seq, delivery_id, attempt::bigint, at, what, sum"
    };
}

/// The voice of the row has the person on the list.
/// Whether the delivery of a known number is pending, said so that the index of what is pending is of
/// no use: with statistics from before a list was frozen the planner takes it for nearly empty, and
/// would read all of it instead of finding the delivery by its number.
macro_rules! is_pending {
    () => {
        "d.state || '' = 'pending'"
    };
}

macro_rules! listed {
    () => {
        "(s.at IS NOT NULL AND (s.lifted_at IS NULL OR s.at >= s.lifted_at))"
    };
}

macro_rules! reply_columns {
    () => {
        "p.id, p.event_id, p.gateway, p.phone, p.channel, p.line, p.chat_id, p.text, p.at,
            p.received_at, r.run, m.row::bigint, p.heard, p.handled_at
        FROM replies p
        LEFT JOIN runs r ON r.id = p.run_id
        LEFT JOIN messages m ON m.id = p.delivery_id"
    };
}

/// All that a transaction reads is from one moment. Sets what holds for the transaction, so there is
/// nothing in it to prepare or to plan.
pub(super) const ONE_MOMENT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Begins a change. While it goes on, the ledger is not closed for a move; one that is closed
/// already takes no change. In one message, so that it costs no more than a plain beginning; and
/// nothing in it fails, so that there is nothing to tidy up. 1936614504 is the number of a lock
/// that is taken alone by who closes it.
pub(super) const BEGIN_CHANGE: &str = "BEGIN;
    SELECT pg_advisory_xact_lock_shared(1936614504, 0);
    SELECT set_config('transaction_read_only', 'on', TRUE) FROM moves
        WHERE way = 'to' OR finished_at IS NULL";

statements! {
    // The server
    CLOCK = concat!("SELECT ", clock!());
    /// The number of a transaction that has written, by which its end can be asked for.
    TRANSACTION = "SELECT pg_current_xact_id_if_assigned()::text";
    /// What became of a transaction whose commit had no answer.
    OUTCOME = "SELECT pg_xact_status($1::text::xid8)";
    SERVER_VERSION = "
        SELECT current_setting('server_version_num')::bigint, current_setting('server_version')";
    SERVER = "SELECT current_setting('server_encoding'), pg_is_in_recovery()";
    /// Whether our migrations were ever applied here, and whether anybody's tables are here that
    /// bear the names of ours.
    LOOK = "
        SELECT to_regclass('sendoff_migrations') IS NOT NULL,
            to_regclass('runs') IS NOT NULL OR to_regclass('messages') IS NOT NULL
                OR to_regclass('deliveries') IS NOT NULL";
    APPLIED = "SELECT version, checksum, success FROM sendoff_migrations ORDER BY version";

    // Freezing
    /// A long list takes longer than the send path may.
    FREEZE_LIMITS = "
        SELECT set_config('idle_in_transaction_session_timeout', '15min', TRUE),
            set_config('lock_timeout', '5min', TRUE)";
    RUN_EXISTS = "SELECT TRUE FROM runs WHERE run = $1";
    /// Numbers for a billion deliveries belong to each run, so that lists can be frozen side by
    /// side and each stands together.
    INSERT_RUN = "
        INSERT INTO runs (id, first_delivery, run, campaign, occurrence, gateway, state, terms,
            files, total, created_at, starts_at)
        SELECT s.id, s.id << 30, $1, $2, $3, $4, 'running', $5, '[]', 0, $6, $7
        FROM (SELECT nextval(pg_get_serial_sequence('runs', 'id')) AS id) s
        ON CONFLICT (run) DO NOTHING
        RETURNING id, first_delivery";
    SEAL_RUN = "UPDATE runs SET total = $1, files = $2, list_sum = $3, sum = $4 WHERE id = $5";
    INSERT_RUN_LINES = "
        INSERT INTO run_lines (run_id, line) SELECT $1, line FROM unnest($2::text[]) AS v (line)";
    INSERT_MESSAGES = "
        INSERT INTO messages (id, run_id, row, recipient_key, phone, timezone, content, addressed,
            sum)
        SELECT v.id, $1, v.row, v.recipient_key, v.phone, v.timezone, v.content,
            v.content IS NOT NULL, v.sum
        FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::bigint[]) AS v (id, row, recipient_key, phone, timezone, content, sum)
        ON CONFLICT DO NOTHING";
    /// Where there is no line, the row is skipped.
    INSERT_DELIVERIES = "
        INSERT INTO deliveries (id, run_id, line, touch, state, reason, detail, due_at)
        SELECT v.id, $1, COALESCE(v.line, ''), v.touch,
            CASE WHEN v.line IS NULL THEN 'skipped' ELSE 'pending' END, v.reason, v.detail, $2
        FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::smallint[])
            AS v (id, line, reason, detail, touch)";
    MESSAGES_BETWEEN = "SELECT id FROM messages WHERE id BETWEEN $1 AND $2";
    /// The first row for this phone or this key; where no key is kept, the phone is the key.
    FIRST_ROW_OF = "
        SELECT MIN(row)::bigint FROM (
            SELECT row FROM messages
            WHERE run_id = $1 AND step = 0 AND addressed AND phone = $2
            UNION ALL
            SELECT row FROM messages
            WHERE run_id = $1 AND step = 0 AND addressed AND recipient_key = $3
            UNION ALL
            SELECT row FROM messages
            WHERE run_id = $1 AND step = 0 AND addressed AND phone = $3
              AND recipient_key IS NULL) AS same";
    KNOWN_CHATS = "
        SELECT phone, chat_id, line FROM chats WHERE gateway = $1 AND phone = ANY($2::text[])";
    INSERT_MEDIA = "
        INSERT INTO media (sha256, filename, content_type, bytes, sum)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING";
    KEEP_ACCOUNT = "
        INSERT INTO accounts (gateway, account) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    ACCOUNT = "SELECT account FROM accounts WHERE gateway = $1";

    // Runs
    HOLD_RUN = concat!(
        "SELECT ", run_lock!("pg_advisory_xact_lock", "id"), " FROM runs WHERE run = $1");
    RUN = "SELECT * FROM runs WHERE run = $1";
    RUNS = "SELECT * FROM runs ORDER BY id DESC";
    RUNNING = "SELECT run, gateway FROM runs WHERE state = 'running' ORDER BY id";
    REHEARSALS = "
        SELECT occurrence FROM runs WHERE campaign = $1 AND occurrence LIKE 'rehearsal-%'";
    SET_STATE = "
        UPDATE runs
        SET state = $1, reason = $2,
            finished_at = CASE WHEN $1 IN ('finished', 'cancelled')
                THEN COALESCE(finished_at, $3) END
        WHERE id = $4";
    CANCEL_PENDING = "
        UPDATE deliveries
        SET state = 'cancelled', hold = NULL, lease_owner = NULL, lease_until = NULL
        WHERE run_id = $1 AND state = 'pending'";
    /// Nobody will ask for them again: only a person can tell whether they went out.
    CANCEL_UNANSWERED = concat!("
        UPDATE deliveries AS d
        SET state = 'uncertain', lease_owner = NULL, lease_until = NULL,
            detail = COALESCE(detail, 'the run was cancelled before an answer came')
        WHERE d.run_id = $1 AND d.state = 'sending'
          AND (d.lease_owner IS NULL OR ", free!("$2"), ")");
    /// Those that [`CANCEL_UNANSWERED`] is about to give up.
    UNANSWERED_IN_CANCELLED = concat!("
        SELECT d.id, d.attempt::bigint, d.revision::bigint, d.begun_at FROM deliveries d
        WHERE d.run_id = $1 AND d.state = 'sending'
          AND (d.lease_owner IS NULL OR ", free!("$2"), ")");
    FINISH = "
        UPDATE runs SET state = 'finished', finished_at = $2
        WHERE id = $1 AND state = 'running'
          AND NOT EXISTS (SELECT 1 FROM deliveries WHERE run_id = $1 AND state = 'sending')
          AND NOT EXISTS (SELECT 1 FROM deliveries WHERE run_id = $1 AND state = 'pending')";
    COUNTS = "
        SELECT state, COUNT(*), COUNT(*) FILTER (WHERE state = 'sent'
            AND look_at = 9223372036854775807 AND message_id IS NOT NULL)
        FROM deliveries WHERE id BETWEEN $1 AND $2 GROUP BY state";
    FACTS = "
        SELECT state, reason, hold, code,
            CASE WHEN state IN ('failed', 'uncertain') THEN detail END AS text,
            COUNT(*) AS n, MIN(due_at) AS due_at, MIN(sent_at) AS first_sent_at,
            MAX(sent_at) AS last_sent_at, COUNT(*) FILTER (WHERE state = 'sent'
            AND look_at = 9223372036854775807 AND message_id IS NOT NULL) AS silent
        FROM deliveries WHERE id BETWEEN $1 AND $2
        GROUP BY 1, 2, 3, 4, 5";
    OPEN_GATES = "
        SELECT line, until_at, inactive_at, reason FROM gates
        WHERE gateway = $1 AND recipient = ''
          AND (until_at > $2 OR inactive_at IS NOT NULL) ORDER BY line";
    /// Of a run, from one line, by what they wait for.
    WAITING_ON_LINE = "
        SELECT hold, COUNT(*) FROM deliveries
        WHERE id BETWEEN $1 AND $2 AND line = $3 AND state = 'pending' GROUP BY hold";
    /// In every run of the gateway, by the index of each.
    MESSAGES_TO = "
        SELECT d.message_id FROM runs r
        JOIN messages m ON m.run_id = r.id AND m.step = 0 AND m.phone = $2 AND m.addressed
        JOIN deliveries d ON d.id = m.id
        WHERE r.gateway = $1 AND d.message_id IS NOT NULL";
    DELIVERIES = concat!("
        SELECT ", delivery_columns!(), "
        FROM deliveries d JOIN messages m ON m.id = d.id
        WHERE d.id > $1 AND d.id <= $2 ORDER BY d.id LIMIT $3");

    // History
    COUNT_EVENTS = "
        INSERT INTO event_counts (run_id, events) VALUES ($1, $2)
        ON CONFLICT (run_id) DO UPDATE SET events = event_counts.events + excluded.events
        RETURNING events";
    INSERT_EVENTS = "
        INSERT INTO events (run_id, seq, delivery_id, attempt, at, what, sum)
        SELECT $1, v.seq, v.delivery_id, v.attempt, v.at, v.what, v.sum
        FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
            $7::bigint[]) AS v (seq, delivery_id, attempt, at, what, sum)";
    KEEP_LOST = "
        INSERT INTO attempts (delivery_id, attempt, revision, begun_at, outcome, sum)
        SELECT v.id, v.attempt, v.revision, v.begun_at, 'lost', v.sum
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
            AS v (id, attempt, revision, begun_at, sum)
        ON CONFLICT DO NOTHING";

    // People who opted out
    /// Waits for the attempts that are being begun, and lets none begin until this is committed:
    /// whoever looks after that sees it. Held for a few rows at a time.
    HOLD_OPT_OUTS = concat!("SELECT ", opt_out_lock!("pg_advisory_xact_lock"));
    SUPPRESSION_ROWS = "
        SELECT * FROM suppressions WHERE phone = ANY($1::text[]) AND scope = $2";
    PUT_SUPPRESSIONS = "
        INSERT INTO suppressions (phone, scope, voice, at, source, reason, run_id, event_id,
            lifted_at, lifted_by, lift_reason)
        SELECT v.phone, v.scope, v.voice, v.at, v.source, v.reason, v.run_id, v.event_id,
            v.lifted_at, v.lifted_by, v.lift_reason
        FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[],
            $7::bigint[], $8::text[], $9::bigint[], $10::text[], $11::text[])
            AS v (phone, scope, voice, at, source, reason, run_id, event_id, lifted_at, lifted_by,
                lift_reason)
        ON CONFLICT (phone, scope, voice) DO UPDATE
        SET at = excluded.at, source = excluded.source, reason = excluded.reason,
            run_id = excluded.run_id, event_id = excluded.event_id,
            lifted_at = excluded.lifted_at, lifted_by = excluded.lifted_by,
            lift_reason = excluded.lift_reason";
    NOTE_OPT_OUTS = "
        INSERT INTO suppression_events (phone, scope, what, source, reason, at, noted_at, run_id,
            event_id)
        SELECT v.phone, v.scope, v.what, v.source, v.reason, v.at, v.noted_at, v.run_id, v.event_id
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
            $7::bigint[], $8::bigint[], $9::text[])
            WITH ORDINALITY
            AS v (phone, scope, what, source, reason, at, noted_at, run_id, event_id, place)
        ORDER BY v.place";
    SUPPRESSED = concat!("
        SELECT s.phone, s.source, s.reason, s.at, r.run, s.event_id
        FROM suppressions s LEFT JOIN runs r ON r.id = s.run_id
        WHERE s.phone = ANY($1::text[]) AND s.scope IN ('', $2) AND ", listed!(), "
        ORDER BY s.phone, s.voice DESC");
    /// One row for each person: the own word before the operator's.
    SUPPRESSIONS = concat!("
        SELECT s.phone, s.source, s.reason, s.at, r.run, s.event_id
        FROM suppressions s LEFT JOIN runs r ON r.id = s.run_id
        WHERE s.phone > $1 AND s.scope = '' AND ", listed!(), "
          AND (s.voice = 'person' OR NOT EXISTS (
            SELECT 1 FROM suppressions o
            WHERE o.phone = s.phone AND o.scope = '' AND o.voice = 'person' AND o.at IS NOT NULL
              AND (o.lifted_at IS NULL OR o.at >= o.lifted_at)))
        ORDER BY s.phone LIMIT $2");
    OPT_OUTS_OF = "
        SELECT s.scope, s.what, s.source, s.reason, s.at, s.noted_at, r.run, s.event_id
        FROM suppression_events s LEFT JOIN runs r ON r.id = s.run_id
        WHERE s.phone = $1 ORDER BY s.id";
    KNOWN_REPLY = "
        SELECT p.id, p.heard, r.run FROM replies p LEFT JOIN runs r ON r.id = p.run_id
        WHERE p.gateway = $1 AND p.event_id = $2";
    /// In every run of the gateway, by the index of each. When it was begun and not when the
    /// provider said so: an answer may be quicker than that.
    REPLY_ORIGIN = "
        SELECT d.run_id, d.id AS delivery_id, r.run FROM runs r
        JOIN messages m ON m.run_id = r.id AND m.step = 0 AND m.phone = $2 AND m.addressed
        JOIN deliveries d ON d.id = m.id
        WHERE r.gateway = $1 AND d.begun_at <= $3
          AND (d.sent_at IS NOT NULL OR d.state IN ('sending', 'uncertain'))
        ORDER BY d.begun_at DESC, d.id DESC LIMIT 1";
    INSERT_REPLY = "
        INSERT INTO replies (gateway, event_id, phone, channel, line, chat_id, text, at,
            received_at, run_id, delivery_id, heard, handled_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT (gateway, event_id) DO NOTHING RETURNING id";
    ANSWERS_READ_TO = "SELECT read_to FROM readings WHERE gateway = $1";
    KEEP_ANSWERS_READ_TO = "
        INSERT INTO readings (gateway, read_to) VALUES ($1, $2)
        ON CONFLICT (gateway) DO UPDATE SET read_to = GREATEST(readings.read_to, excluded.read_to)";
    LAST_REPLIES = "
        SELECT phone, MAX(at) FROM replies
        WHERE gateway = $1 AND channel = $2 AND phone = ANY($3::text[]) AND channel <> ''
        GROUP BY phone";
    SETTLE_REVIEWS = "
        UPDATE replies SET handled_at = $2
        WHERE phone = ANY($1::text[]) AND heard = 'review' AND handled_at IS NULL";
    REVIEWED = "
        UPDATE replies SET handled_at = $2
        WHERE id = $1 AND heard = 'review' AND handled_at IS NULL";
    TO_REVIEW = concat!("
        SELECT ", reply_columns!(), "
        WHERE p.id > $1 AND p.heard = 'review' AND p.handled_at IS NULL ORDER BY p.id LIMIT $2");
    ANSWERS = "
        SELECT COUNT(*), COUNT(DISTINCT CASE WHEN heard = 'stop' THEN phone END),
            COUNT(CASE WHEN heard = 'review' AND handled_at IS NULL THEN 1 END)
        FROM replies WHERE run_id = $1";
    FIRST_OPT_OUTS = concat!("
        SELECT ", reply_columns!(), "
        WHERE p.run_id = $1 AND p.heard = 'stop' AND NOT EXISTS (
            SELECT 1 FROM replies e
            WHERE e.run_id = $1 AND e.heard = 'stop' AND e.phone = p.phone
              AND (e.at < p.at OR e.at = p.at AND e.id < p.id))
        ORDER BY p.at, p.id LIMIT $2");

    // Events
    KEEP_EVENT = "
        INSERT INTO inbox (gateway, event_id, kind, body, received_at, due_at)
        VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING";
    /// One that is from the future by a clock that was set back since is due as well.
    WAITING_EVENTS = "
        SELECT event_id, body, received_at FROM inbox
        WHERE gateway = $1 AND handled_at IS NULL AND (due_at <= $2 OR received_at > $2 + 60000)
        ORDER BY due_at, event_id LIMIT $3";
    EVENTS_LEFT = "
        SELECT COUNT(*) FROM inbox WHERE gateway = $1 AND handled_at IS NULL";
    EVENT_HANDLED = "
        UPDATE inbox SET handled_at = $4, note = $3
        WHERE gateway = $1 AND event_id = $2 AND handled_at IS NULL";
    PUT_OFF_EVENT = "
        UPDATE inbox SET due_at = $3
        WHERE gateway = $1 AND event_id = $2 AND handled_at IS NULL";
    FORGET_EVENTS = "DELETE FROM inbox WHERE handled_at IS NOT NULL AND handled_at < $1";
    /// By the index of messages that have a channel in the place of a line.
    DELIVERY_OF = "
        SELECT d.id, r.run FROM deliveries d JOIN runs r ON r.id = d.run_id
        WHERE d.message_id = $2 AND d.message_id IS NOT NULL AND d.line >= 'a'
          AND r.gateway = $1 ORDER BY d.id LIMIT 1";

    // Owners
    OWNER_LIVES = "
        SELECT NOT gone AND alive_until > $2 FROM owners WHERE owner = $1 FOR UPDATE";
    ENLIST = "
        INSERT INTO owners (owner, enlisted_at, heard_at, alive_until) VALUES ($1, $2, $2, $3)
        ON CONFLICT (owner) DO UPDATE
        SET enlisted_at = excluded.enlisted_at, heard_at = excluded.heard_at,
            alive_until = excluded.alive_until, gone = FALSE, forget_at = NULL, run_id = NULL,
            worker = NULL";
    ATTEND = "UPDATE owners SET run_id = $2, worker = $3 WHERE owner = $1";
    PRESENT = "
        SELECT owner, worker, enlisted_at FROM owners
        WHERE run_id = $1 AND NOT gone AND alive_until > $2 ORDER BY enlisted_at, owner";
    /// Those that count as alive, with how long each has been silent.
    WORKERS = "
        SELECT o.owner, o.worker, o.enlisted_at, o.run_id, r.run,
            GREATEST($2 - o.heard_at, 0) AS silent_ms
        FROM owners o LEFT JOIN runs r ON r.id = o.run_id
        WHERE NOT o.gone AND o.alive_until > $1 ORDER BY o.enlisted_at, o.owner";
    /// Leases of a run, by owner: claimed, and begun. Goes through all that is open of it.
    HELD = "
        SELECT lease_owner, 'pending' AS state, COUNT(*) FROM deliveries
        WHERE run_id = $1 AND state = 'pending' AND lease_owner IS NOT NULL AND lease_until > $2
        GROUP BY lease_owner
        UNION ALL
        SELECT lease_owner, 'sending', COUNT(*) FROM deliveries
        WHERE run_id = $1 AND state = 'sending' AND lease_owner IS NOT NULL
        GROUP BY lease_owner";
    /// One that was taken for dead is back, and what nobody has taken over is its own again.
    BEAT = "
        INSERT INTO owners (owner, enlisted_at, heard_at, alive_until) VALUES ($1, $2, $2, $3)
        ON CONFLICT (owner) DO UPDATE
        SET heard_at = excluded.heard_at, alive_until = excluded.alive_until, gone = FALSE,
            forget_at = NULL";
    /// Only what nobody has taken over meanwhile.
    RENEW = "
        WITH mine AS (
            SELECT id FROM deliveries
            WHERE id = ANY($2::bigint[]) AND lease_owner = $1 AND state IN ('pending', 'sending')
            ORDER BY id FOR UPDATE SKIP LOCKED)
        UPDATE deliveries AS d SET lease_until = GREATEST(d.lease_until, $3)
        FROM mine WHERE d.id = mine.id
        RETURNING d.id";
    /// By the indexes of what is open; only for a name that is used again.
    END_LEASES = "
        UPDATE deliveries SET lease_owner = NULL, lease_until = $2
        WHERE id IN (
            SELECT id FROM deliveries WHERE state = 'pending' AND lease_owner = $1
            UNION ALL
            SELECT id FROM deliveries WHERE state = 'sending' AND lease_owner = $1)";
    GONE = "UPDATE owners SET gone = TRUE WHERE owner = $1";
    BURY = "UPDATE owners SET gone = TRUE WHERE NOT gone AND alive_until <= $1";
    FORGET_LATER = "UPDATE owners SET forget_at = $1 WHERE gone AND forget_at IS NULL";
    FORGET_OWNERS = "DELETE FROM owners WHERE gone AND forget_at < $1";
    FORGET_GATES = "DELETE FROM gates WHERE until_at < $1 AND inactive_at IS NULL";

    // Claiming
    /// No change of the run's state is on its way once this is answered; and where there are
    /// limits, nobody else reserves a slot of the gateway's. The clock is read when all that is
    /// so: a slot is not reckoned from a time before a long wait.
    OPEN_CLAIM = concat!("SELECT ", run_lock!("pg_advisory_xact_lock_shared", "$1::bigint"), "::text,
        CASE WHEN $3 THEN pg_advisory_xact_lock(1936614503, hashtext($2::text))::text END, ",
        clock!());
    RUN_STATE = "SELECT state FROM runs WHERE id = $1";
    RUN_LINES = "SELECT line FROM run_lines WHERE run_id = $1 ORDER BY line";
    /// In order, so that two processes never wait for each other.
    FIRST_ARRIVALS = "
        INSERT INTO pace (gateway, subject, tat_us)
        SELECT $1, v.subject, 0 FROM unnest($2::text[]) AS v (subject) ORDER BY v.subject
        ON CONFLICT DO NOTHING";
    /// Locks them, in order: until this transaction ends, nobody else reserves a slot.
    ARRIVALS = "
        SELECT subject, tat_us FROM pace WHERE gateway = $1 AND subject = ANY($2::text[])
        ORDER BY subject FOR UPDATE";
    SET_ARRIVALS = "
        UPDATE pace SET tat_us = GREATEST(pace.tat_us, v.tat_us)
        FROM unnest($2::text[], $3::bigint[]) AS v (subject, tat_us)
        WHERE pace.gateway = $1 AND pace.subject = v.subject";
    /// Attempts without an outcome whose lease is over, by line.
    UNANSWERED = concat!("
        SELECT f.id FROM unnest($2::text[], $3::bigint[]) AS s (line, most)
        CROSS JOIN LATERAL (
            SELECT d.id FROM deliveries d
            WHERE d.run_id = $1 AND d.state = 'sending' AND d.line = s.line
              AND (d.lease_until <= $4 OR d.lease_owner IN ", dead!("$4"), ")
            ORDER BY d.id LIMIT s.most FOR UPDATE SKIP LOCKED) f");
    /// Of each line and kind. Steps over what others hold or are about to: that stands in front,
    /// and is little.
    DUE = concat!("
        SELECT f.due_at, f.id
        FROM unnest($2::text[], $3::bigint[], $6::smallint[]) AS s (line, most, touch)
        CROSS JOIN LATERAL (
            SELECT d.due_at, d.id FROM deliveries d
            WHERE d.run_id = $1 AND d.line = s.line AND d.touch = s.touch AND d.state = 'pending'
              AND d.due_at <= $5 AND (d.due_at <= $4 OR d.due_at = $5) AND ", free!("$4"), "
            ORDER BY d.due_at, d.id LIMIT s.most FOR UPDATE SKIP LOCKED) f");
    /// The one delivery to a person, while it is open.
    ONLY = concat!("
        SELECT d.id, d.line, d.state, d.due_at, d.lease_until,
            d.lease_owner IN ", dead!("$3"), " AS orphaned
        FROM messages m JOIN deliveries d ON d.id = m.id
        WHERE m.run_id = $1 AND m.step = 0 AND m.phone = $2 AND m.addressed
          AND d.state IN ('pending', 'sending')
        FOR UPDATE OF d");
    CANDIDATES = concat!("
        SELECT d.id, d.line, d.state, d.attempt::bigint, d.tries::bigint, d.revision::bigint,
            d.first_attempt_at, d.fixed, d.begun_at, d.unanswered_at,
            COALESCE(d.aged_ms, 0) AS aged_ms,
            m.row::bigint,
            m.recipient_key, m.phone, m.timezone, m.content, c.chat_id, c.line AS chat_line,
            g.until_at AS gate_until,
            EXISTS (SELECT 1 FROM suppressions s
                WHERE s.phone = m.phone AND s.scope IN ('', $2) AND ", listed!(), ") AS opted_out
        FROM unnest($1::bigint[]) WITH ORDINALITY AS j (id, place)
        JOIN deliveries d ON d.id = j.id
        JOIN messages m ON m.id = d.id
        LEFT JOIN chats c ON c.gateway = $2 AND c.phone = m.phone
        LEFT JOIN gates g ON g.gateway = $2 AND g.recipient = m.phone AND g.line = ''
        ORDER BY j.place");
    LEASE = "
        UPDATE deliveries SET lease_owner = $1, lease_until = $2 WHERE id = ANY($3::bigint[])";
    HOLD_BACK = concat!("
        UPDATE deliveries AS d
        SET due_at = v.until_at, hold = v.hold, lease_owner = NULL, lease_until = NULL
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS v (id, until_at, hold)
        WHERE d.id = v.id AND ", is_pending!());
    HOLD_DOUBT = "
        UPDATE deliveries AS d SET lease_owner = NULL, lease_until = v.until_at
        FROM unnest($1::bigint[], $2::bigint[]) AS v (id, until_at)
        WHERE d.id = v.id AND d.state = 'sending'";
    SKIP = concat!("
        UPDATE deliveries AS d
        SET state = 'skipped', reason = v.reason, hold = NULL,
            detail = COALESCE(v.detail, d.detail), lease_owner = NULL, lease_until = NULL
        FROM unnest($1::bigint[], $2::text[], $3::text[]) AS v (id, reason, detail)
        WHERE d.id = v.id AND ", is_pending!());
    /// Whoever is on the list by both voices comes by the own word first. `OFFSET 0` keeps the planner
    /// to this order, one by one: it would rather begin with all that is pending in a running run.
    OPTED_OUT = concat!("
        SELECT d.id, d.run_id, d.attempt::bigint, d.lease_owner, s.phone, s.source, s.reason, s.at
        FROM unnest($1::bigint[]) AS j (id)
        CROSS JOIN LATERAL (SELECT phone FROM messages WHERE id = j.id OFFSET 0) m
        CROSS JOIN LATERAL (SELECT * FROM suppressions WHERE phone = m.phone OFFSET 0) s
        CROSS JOIN LATERAL (SELECT * FROM deliveries WHERE id = j.id OFFSET 0) d
        CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = d.run_id OFFSET 0) r
        WHERE d.state = 'pending' AND r.state = 'running' AND s.scope IN ('', r.gateway)
          AND ", listed!(), " ORDER BY d.id, s.voice DESC");
    /// Of each line and kind, when the next is due that nobody holds; where none is free now, when
    /// the first of those that somebody holds is free again.
    NEXT_PENDING = concat!("
        SELECT s.line, t.touch::bigint, LEAST(f.due_at, g.given_back_at)
        FROM unnest($2::text[]) AS s (line)
        CROSS JOIN unnest(ARRAY[0, 1, 2]::smallint[]) AS t (touch)
        LEFT JOIN LATERAL (
            SELECT d.due_at FROM deliveries d
            WHERE d.run_id = $1 AND d.line = s.line AND d.touch = t.touch AND d.state = 'pending'
              AND ", free!("$3"), "
            ORDER BY d.due_at, d.id LIMIT 1) f ON TRUE
        LEFT JOIN LATERAL (
            SELECT MIN(d.lease_until) AS given_back_at FROM deliveries d
            WHERE d.run_id = $1 AND d.line = s.line AND d.touch = t.touch AND d.state = 'pending'
              AND d.due_at <= $3 AND d.lease_until > $3
              AND (f.due_at IS NULL OR f.due_at > $3)) g ON TRUE
        WHERE f.due_at IS NOT NULL OR g.given_back_at IS NOT NULL");
    NEXT_UNANSWERED = concat!("
        SELECT d.line, MIN(CASE WHEN d.lease_owner IN ", dead!("$2"), "
            THEN d.begun_at ELSE d.lease_until END)
        FROM deliveries d WHERE d.run_id = $1 AND d.state = 'sending' GROUP BY d.line");

    // Caps
    /// Of each, when it last counted anybody, and the newest day, not after the one asked for, on
    /// which it did.
    CAPS_USED = "
        SELECT v.gateway, v.subject, v.day AS asked_day, NULLIF(c.last_at, 0) AS last_at,
            t.day::bigint AS day, t.nth::bigint AS nth, t.taken
        FROM unnest($1::text[], $2::text[], $3::bigint[]) AS v (gateway, subject, day)
        LEFT JOIN caps c ON c.gateway = v.gateway AND c.subject = v.subject
        LEFT JOIN LATERAL (
            SELECT n.day, n.nth, n.taken FROM cap_days n
            WHERE n.gateway = v.gateway AND n.subject = v.subject AND n.day <= v.day
            ORDER BY n.day DESC LIMIT 1) t ON TRUE";
    /// Locks them, in order, and makes those that are not there yet.
    HOLD_CAPS = "
        INSERT INTO caps (gateway, subject, last_at)
        SELECT v.gateway, v.subject, 0 FROM unnest($1::text[], $2::text[]) AS v (gateway, subject)
        ORDER BY v.gateway, v.subject
        ON CONFLICT (gateway, subject) DO UPDATE SET last_at = caps.last_at";
    COUNT_CAPS = "
        UPDATE caps AS c SET last_at = GREATEST(c.last_at, v.last_at), until_at = v.until_at
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
            AS v (gateway, subject, last_at, until_at)
        WHERE c.gateway = v.gateway AND c.subject = v.subject";
    COUNT_DAYS = "
        INSERT INTO cap_days (gateway, subject, day, nth, taken)
        SELECT v.gateway, v.subject, v.day, v.nth, v.taken
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
            AS v (gateway, subject, day, nth, taken)
        ON CONFLICT (gateway, subject, day) DO UPDATE SET taken = cap_days.taken + excluded.taken";
    CAPS_UNTIL = "SELECT subject, until_at FROM caps WHERE gateway = $1 AND until_at IS NOT NULL";
    /// Claims of an owner that are still its own, in running runs.
    OWN_FRESH = "
        SELECT d.id, d.run_id
        FROM unnest($1::bigint[]) AS j (id)
        CROSS JOIN LATERAL (SELECT * FROM deliveries WHERE id = j.id OFFSET 0) d
        CROSS JOIN LATERAL (SELECT state FROM runs WHERE id = d.run_id OFFSET 0) r
        WHERE r.state = 'running' AND d.state = 'pending' AND d.attempt = 0 AND d.lease_owner = $2
        ORDER BY d.id";

    // The writer
    /// The runs of the deliveries that a group is about; see [`OPEN_CLAIM`]. Before them, where
    /// attempts are to begin, the lock of [`HOLD_OPT_OUTS`], shared.
    ///
    /// It is taken before every row and every run: whoever holds it alone waits for nothing but
    /// those who share it, and none of those waits for it again, so that no circle can close. Were
    /// it taken after the deliveries, a group that shares it could wait for a row of another that
    /// waits for it, behind somebody who opts out.
    SHARE_RUNS = concat!("
        SELECT CASE WHEN $2 THEN ", opt_out_lock!("pg_advisory_xact_lock_shared"), "::text END, ",
        run_lock!("pg_advisory_xact_lock_shared", "r.run_id"), " FROM (
            SELECT DISTINCT run_id FROM deliveries WHERE id = ANY($1::bigint[])
            ORDER BY run_id) r");
    /// Locks the deliveries that a group is about, in order: what is decided from their rows
    /// holds until they are changed, and two groups never wait for each other.
    HOLD_DELIVERIES = "
        SELECT id, attempt::bigint, begun_at FROM deliveries WHERE id = ANY($1::bigint[])
        ORDER BY id FOR UPDATE";
    BEGUN_EARLIER = "
        SELECT a.delivery_id, a.attempt::bigint, a.begun_at
        FROM unnest($1::bigint[], $2::bigint[]) AS v (id, attempt)
        JOIN attempts a ON a.delivery_id = v.id AND a.attempt = v.attempt";
    /// An earlier attempt whose process ended before its outcome was recorded.
    KEEP_LOST_BEFORE = "
        INSERT INTO attempts (delivery_id, attempt, revision, begun_at, outcome, sum)
        SELECT d.id, d.attempt, v.revision, v.begun_at, 'lost', v.sum
        FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
            AS v (id, attempt, revision, begun_at, sum)
        JOIN deliveries d ON d.id = v.id AND d.attempt = v.attempt
        JOIN runs r ON r.id = d.run_id AND r.state = 'running'
        WHERE d.state = 'sending' AND d.lease_owner = $1
        ON CONFLICT DO NOTHING";
    ANY_GATE = "
        SELECT EXISTS (SELECT 1 FROM gates WHERE until_at > $1)
            OR EXISTS (SELECT 1 FROM gates WHERE inactive_at IS NOT NULL)";
    /// Claims of an owner that an open gate holds; the gate that opens last counts.
    GATED = "
        SELECT DISTINCT ON (d.id) d.id, d.run_id, d.attempt::bigint, d.state, g.line,
            g.recipient, g.inactive_at, g.until_at
        FROM unnest($1::bigint[], $2::bigint[]) AS v (id, attempt)
        JOIN deliveries d ON d.id = v.id AND d.attempt = v.attempt
        JOIN messages m ON m.id = d.id
        JOIN runs r ON r.id = d.run_id AND r.state = 'running'
        JOIN gates g ON g.gateway = r.gateway
            AND (g.until_at > $4 OR g.inactive_at IS NOT NULL)
            AND (g.recipient = '' AND g.line IN ('', d.line)
                OR g.recipient = m.phone AND g.line = '')
        WHERE d.lease_owner = $3 AND d.state IN ('pending', 'sending')
        ORDER BY d.id, g.until_at DESC";
    BEGIN = "
        UPDATE deliveries AS d
        SET state = 'sending', attempt = d.attempt + 1, touch = 0, revision = v.revision,
            fixed = v.fixed, begun_at = v.at, lease_until = v.lease_until, lease_owner = $1, hold = NULL,
            fixed_sum = v.fixed_sum, unanswered_at = COALESCE(d.unanswered_at, v.at),
            first_attempt_at = COALESCE(d.first_attempt_at, v.at)
        FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[],
            $7::bigint[], $8::bigint[])
            AS v (id, attempt, revision, fixed, at, lease_until, fixed_sum)
        WHERE d.id = v.id AND d.attempt = v.attempt AND d.state IN ('pending', 'sending')
          AND d.lease_owner = $1
          AND EXISTS (SELECT 1 FROM runs r WHERE r.id = d.run_id AND r.state = 'running')
        RETURNING d.id";
    /// Claims that could not begin because the run is not running any more.
    GIVE_BACK = "
        UPDATE deliveries AS d SET lease_owner = NULL, lease_until = v.at
        FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS v (id, attempt, at)
        WHERE d.id = v.id AND d.attempt = v.attempt AND d.state IN ('pending', 'sending')
          AND d.lease_owner = $1";
    KEEP_ATTEMPTS = "
        INSERT INTO attempts (delivery_id, attempt, revision, begun_at, ended_at, outcome, code,
            http, text, trace_id, state, due_at, hold, tries, anew, message_id, chat_id, late, sum)
        SELECT v.id, v.attempt, v.revision, v.begun_at, v.ended_at, v.outcome, v.code, v.http,
            v.text, v.trace_id, v.state, v.due_at, v.hold, v.tries, v.anew, v.message_id,
            v.chat_id, NOT (d.attempt = v.attempt AND d.state = 'sending'),
            CASE WHEN d.attempt = v.attempt AND d.state = 'sending' THEN v.in_time ELSE v.late END
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
            $6::text[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[],
            $12::bigint[], $13::text[], $14::bigint[], $15::boolean[], $16::text[], $17::text[],
            $18::bigint[], $19::bigint[])
            AS v (id, attempt, revision, begun_at, ended_at, outcome, code, http, text, trace_id,
                state, due_at, hold, tries, anew, message_id, chat_id, in_time, late)
        -- of an attempt that was never begun there is nothing to keep
        JOIN deliveries d ON d.id = v.id AND d.attempt >= v.attempt
        -- what is known is kept; only what was not known may still be learnt
        ON CONFLICT (delivery_id, attempt) DO UPDATE
        SET revision = excluded.revision, begun_at = excluded.begun_at,
            ended_at = excluded.ended_at, outcome = excluded.outcome, late = excluded.late,
            code = excluded.code, http = excluded.http, text = excluded.text,
            trace_id = excluded.trace_id, state = excluded.state, due_at = excluded.due_at,
            hold = excluded.hold, tries = excluded.tries, anew = excluded.anew,
            message_id = excluded.message_id, chat_id = excluded.chat_id, sum = excluded.sum
        WHERE attempts.outcome = 'lost'
        RETURNING delivery_id";
    RECORD = "
        UPDATE deliveries AS d
        SET state = v.state, due_at = COALESCE(v.due_at, d.due_at), hold = v.hold,
            tries = COALESCE(v.tries, d.tries), revision = d.revision + v.anew::integer,
            fixed = CASE WHEN v.anew THEN NULL ELSE d.fixed END,
            fixed_sum = CASE WHEN v.anew THEN NULL ELSE d.fixed_sum END,
            code = v.code, detail = v.detail, message_id = v.message_id, chat_id = v.chat_id,
            sent_at = v.sent_at,
            unanswered_at = CASE WHEN v.state IN ('sending', 'uncertain')
                THEN d.unanswered_at END,
            lease_owner = NULL,
            -- still without an answer: to be asked again at that time
            lease_until = CASE WHEN v.state = 'sending' THEN v.due_at END
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::text[],
            $6::bigint[], $7::boolean[], $8::bigint[], $9::text[], $10::text[], $11::text[],
            $12::bigint[])
            AS v (id, attempt, state, due_at, hold, tries, anew, code, detail, message_id,
                chat_id, sent_at)
        WHERE d.id = v.id AND d.attempt = v.attempt AND d.state = 'sending'
        RETURNING d.id";
    /// What comes back from the wire to a run that was cancelled meanwhile is not tried again.
    END_IN_CANCELLED = "
        UPDATE deliveries AS d
        SET state = CASE d.state WHEN 'pending' THEN 'cancelled' ELSE 'uncertain' END,
            detail = CASE d.state WHEN 'sending'
                THEN COALESCE(d.detail, 'the run was cancelled before an answer came')
                ELSE d.detail END,
            hold = NULL, lease_until = NULL
        WHERE d.id = ANY($1::bigint[]) AND d.state IN ('pending', 'sending')
          AND d.lease_owner IS NULL
          AND EXISTS (SELECT 1 FROM runs r WHERE r.id = d.run_id AND r.state = 'cancelled')";
    /// Attempts without an answer that [`END_IN_CANCELLED`] is about to give up.
    UNANSWERED_AMONG = "
        SELECT d.id, d.attempt::bigint, d.revision::bigint, d.begun_at
        FROM deliveries d JOIN runs r ON r.id = d.run_id AND r.state = 'cancelled'
        WHERE d.id = ANY($1::bigint[]) AND d.state = 'sending' AND d.lease_owner IS NULL";
    /// A person stays with the line that wrote first.
    KEEP_CHATS = "
        INSERT INTO chats (gateway, phone, chat_id, line)
        SELECT v.gateway, v.phone, v.chat_id, v.line
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
            AS v (gateway, phone, chat_id, line)
        ON CONFLICT (gateway, phone) DO UPDATE SET chat_id = excluded.chat_id";
    /// Ends the doubt about an attempt without an answer.
    SETTLE = "
        UPDATE deliveries
        SET state = $4::text, message_id = $5, chat_id = $6, detail = $7, code = NULL,
            sent_at = CASE WHEN $4::text = 'sent' THEN begun_at END,
            unanswered_at = CASE WHEN $4::text = 'uncertain' THEN unanswered_at END,
            due_at = COALESCE($8::bigint, due_at), tries = COALESCE($9::integer, tries),
            hold = CASE WHEN $8::bigint IS NOT NULL THEN 'retry' END,
            lease_owner = NULL, lease_until = NULL
        WHERE id = $1 AND attempt = $2 AND state = 'sending' AND lease_owner = $3
        RETURNING run_id";
    EXTEND_GATE = "
        INSERT INTO gates (gateway, line, recipient, until_at, inactive_at, reason)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (gateway, recipient, line) DO UPDATE
        SET until_at = GREATEST(excluded.until_at, gates.until_at),
            inactive_at = COALESCE(gates.inactive_at, excluded.inactive_at),
            reason = CASE excluded.reason WHEN '' THEN gates.reason ELSE excluded.reason END
        WHERE excluded.until_at > gates.until_at
           OR gates.inactive_at IS NULL AND excluded.inactive_at IS NOT NULL";
    TAKE_LOOK = "
        UPDATE gates SET until_at = GREATEST(until_at, $3)
        WHERE gateway = $1 AND recipient = '' AND inactive_at IS NOT NULL AND until_at <= $2
        RETURNING line";
    /// Deliveries that wait for a line to take part in messaging, in every run of a gateway. One
    /// that somebody is changing at this moment keeps its time.
    HELD_FOR_LINE = "
        SELECT d.id, d.run_id, d.attempt::bigint FROM deliveries d
        WHERE d.run_id IN (SELECT id FROM runs WHERE gateway = $1) AND d.line = $2
          AND d.touch IN (0, 1, 2) AND d.state = 'pending' AND d.due_at > $3
          AND d.hold = 'line_inactive'
        ORDER BY d.id FOR UPDATE OF d SKIP LOCKED";
    LINE_IS_BACK = "
        DELETE FROM gates
        WHERE gateway = $1 AND recipient = '' AND line = $2 AND inactive_at IS NOT NULL";
    /// What is without an answer may be asked for again at once.
    RELEASE_AS_IT_WAS = "
        UPDATE deliveries AS d
        SET lease_owner = NULL, lease_until = CASE WHEN d.state = 'sending' THEN d.begun_at END
        FROM unnest($2::bigint[], $3::bigint[]) AS v (id, attempt)
        WHERE d.id = v.id AND d.attempt = v.attempt AND d.state IN ('pending', 'sending')
          AND d.lease_owner = $1
        RETURNING d.id";
    /// Still without an answer: to be looked at again at that time.
    RELEASE_DOUBT = "
        UPDATE deliveries AS d SET lease_owner = NULL, lease_until = v.again_at
        FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS v (id, attempt, again_at)
        WHERE d.id = v.id AND d.attempt = v.attempt AND d.state = 'sending'
          AND d.lease_owner = $1
        RETURNING d.id";
    RELEASE = concat!("
        UPDATE deliveries AS d
        SET state = v.state, due_at = COALESCE(v.due_at, d.due_at), hold = v.hold,
            tries = COALESCE(v.tries, d.tries), code = v.code, detail = v.detail,
            revision = d.revision + v.anew::integer,
            fixed = CASE WHEN v.anew THEN NULL ELSE d.fixed END,
            fixed_sum = CASE WHEN v.anew THEN NULL ELSE d.fixed_sum END,
            lease_owner = NULL, lease_until = NULL
        FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[],
            $7::bigint[], $8::bigint[], $9::text[], $10::boolean[])
            AS v (id, attempt, state, due_at, hold, tries, code, detail, anew)
        WHERE d.id = v.id AND d.attempt = v.attempt AND d.lease_owner = $1
          AND ", is_pending!(), "
        RETURNING d.id, d.run_id");

    // Proof
    /// A proof takes its time between two statements.
    PROOF_LIMITS = "SELECT set_config('idle_in_transaction_session_timeout', '15min', TRUE)";
    /// A server has no check of a whole database that an ordinary role may ask for: what it has
    /// noticed by itself.
    STRUCTURE = "
        SELECT 'the index ' || c.relname || ' is not whole' FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid
        WHERE NOT i.indisvalid AND c.relnamespace
            = (SELECT relnamespace FROM pg_class WHERE oid = 'deliveries'::regclass)
        UNION ALL
        SELECT checksum_failures || ' pages of the database were not as they were written'
        FROM pg_stat_database
        WHERE datname = current_database() AND checksum_failures > 0";
    RUNS_KEPT = "
        SELECT r.*, COALESCE(c.events, 0) AS events
        FROM runs r LEFT JOIN event_counts c ON c.run_id = r.id ORDER BY r.id";
    ORPHANS = "
        SELECT DISTINCT run_id FROM run_lines WHERE run_id NOT IN (SELECT id FROM runs)";
    /// What is open in a run, by its own indexes, and not in its list.
    STRAYS = "
        SELECT id FROM deliveries
        WHERE run_id = $1 AND state = 'pending' AND (id < $2 OR id >= $3)
        UNION ALL
        SELECT id FROM deliveries
        WHERE run_id = $1 AND state = 'sending' AND (id < $2 OR id >= $3)
        LIMIT 20";
    EVENTS_OF_RUN = concat!("
        SELECT ", event_columns!(), " FROM events
        WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3");
    MESSAGES_KEPT = "
        SELECT id, run_id, step::bigint, row::bigint, recipient_key, phone, timezone, content,
            addressed::integer::bigint, sum
        FROM messages WHERE id BETWEEN $1 AND $2";
    DELIVERIES_KEPT = "
        SELECT id, run_id, line, state, reason, detail, hold, due_at, lease_owner,
            attempt::bigint, tries::bigint, revision::bigint, fixed, fixed_sum, first_attempt_at,
            begun_at, unanswered_at, code, message_id, chat_id, sent_at, delivered_at, read_at
        FROM deliveries WHERE id BETWEEN $1 AND $2";
    ATTEMPTS_KEPT = "
        SELECT delivery_id, attempt::bigint, revision::bigint, begun_at, ended_at, outcome,
            late::integer::bigint, code, http::bigint, text, trace_id, state, due_at, hold, tries::bigint,
            anew::integer::bigint,
            message_id, chat_id, sum
        FROM attempts WHERE delivery_id BETWEEN $1 AND $2 ORDER BY attempts.delivery_id,
            attempts.attempt";
    EVENTS_KEPT = concat!("
        SELECT ", event_columns!(), " FROM events
        WHERE delivery_id BETWEEN $1 AND $2 ORDER BY delivery_id, seq");
    MEDIA_KEPT = "SELECT filename, content_type, bytes, sum FROM media WHERE sha256 = $1";

    // One person, and an operator's word
    /// By phone or key; those that are to be written to first. Rows that were left out stand in
    /// no index: they are looked for in the run's own list.
    FIND = "
        SELECT id, addressed FROM messages
        WHERE run_id = $1 AND step = 0 AND addressed AND phone = $2
        UNION
        SELECT id, addressed FROM messages
        WHERE run_id = $1 AND step = 0 AND addressed AND recipient_key = $3
        UNION
        SELECT id, addressed FROM messages
        WHERE id BETWEEN $4 AND $5 AND NOT addressed AND (phone = $2 OR recipient_key = $3)
        ORDER BY 2 DESC, 1 LIMIT 100";
    DELIVERY = concat!("
        SELECT ", delivery_columns!(), ", d.begun_at, d.lease_owner, d.lease_until, m.content,
            o.gone OR o.alive_until <= $2 AS owner_gone
        FROM deliveries d JOIN messages m ON m.id = d.id
        LEFT JOIN owners o ON o.owner = d.lease_owner
        WHERE d.id = $1");
    EVENTS_OF_RUN_ITSELF = concat!("
        SELECT ", event_columns!(), " FROM events
        WHERE run_id = $1 AND delivery_id IS NULL ORDER BY seq");
    /// The newest earlier run of the gateway whose message to this person went out by this line.
    KNOWN_FROM = "
        SELECT r.run FROM deliveries d
        JOIN messages m ON m.id = d.id
        JOIN runs now ON now.id = d.run_id
        JOIN runs r ON r.gateway = now.gateway AND r.id < now.id
        JOIN messages e ON e.run_id = r.id AND e.step = 0 AND e.phone = m.phone AND e.addressed
        JOIN deliveries s ON s.id = e.id AND s.line = d.line AND s.sent_at IS NOT NULL
        WHERE d.id = $1 ORDER BY r.id DESC LIMIT 1";
    IN_STATE = concat!("
        SELECT ", delivery_columns!(), "
        FROM deliveries d JOIN messages m ON m.id = d.id
        WHERE d.id BETWEEN $1 AND $2 AND d.state = $3 ORDER BY d.id LIMIT $4");
    /// Of each line and kind.
    NEXT_DUE = "
        SELECT l.line, t.touch::bigint, f.due_at FROM run_lines l
        CROSS JOIN unnest(ARRAY[0, 1, 2]::smallint[]) AS t (touch)
        CROSS JOIN LATERAL (
            SELECT d.due_at FROM deliveries d
            WHERE d.run_id = l.run_id AND d.line = l.line AND d.touch = t.touch
              AND d.state = 'pending'
            ORDER BY d.due_at, d.id LIMIT 1) f
        WHERE l.run_id = $1";
    FAILED = "
        SELECT d.id, d.attempt::bigint, d.code FROM deliveries d
        WHERE d.id > $1 AND d.id <= $2 AND d.state = 'failed'
          AND ($3::bigint IS NULL OR d.code = $3)
          AND (d.message_id IS NOT NULL) = $5
        ORDER BY d.id LIMIT $4";
    PUT_BACK = "
        UPDATE deliveries
        SET state = 'pending', hold = NULL, code = NULL, detail = NULL, message_id = NULL,
            chat_id = NULL, sent_at = NULL, due_at = $2, tries = 0,
            revision = revision + $3::boolean::integer,
            fixed = CASE WHEN $3 THEN NULL ELSE fixed END,
            fixed_sum = CASE WHEN $3 THEN NULL ELSE fixed_sum END,
            first_attempt_at = NULL, unanswered_at = NULL, aged_ms = NULL, lease_owner = NULL,
            lease_until = NULL, look_at = NULL
        WHERE id = ANY($1::bigint[]) AND state = 'failed'";
    /// Key and body stay: if the person is wrong, the key still protects.
    RESOLVE = "
        UPDATE deliveries
        SET state = $3::text, hold = NULL, code = NULL, detail = NULL, message_id = NULL,
            chat_id = NULL, sent_at = CASE $3::text WHEN 'sent' THEN begun_at END,
            due_at = CASE $3::text WHEN 'sent' THEN due_at ELSE $4 END,
            tries = CASE $3::text WHEN 'sent' THEN tries ELSE 0 END,
            first_attempt_at = NULL, unanswered_at = NULL, aged_ms = NULL, lease_owner = NULL,
            lease_until = NULL
        WHERE id = $1 AND run_id = $2 AND state = 'uncertain'
        RETURNING attempt::bigint";

    // The place
    /// Who may not read the server's own identifier still knows the database's number.
    MAY_IDENTIFY = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')";
    SERVER_ID = "SELECT system_identifier::text FROM pg_control_system()";
    DATABASE_ID = "
        SELECT oid::bigint, 'deliveries'::regclass::oid::bigint FROM pg_database
        WHERE datname = current_database()";
    PLACE = "
        SELECT server, database, relation, mark, marked_at FROM places
        ORDER BY place DESC LIMIT 1 FOR UPDATE";
    SETTLE_PLACE = "
        UPDATE places SET server = $1, database = $2, relation = $3
        WHERE place = (SELECT MAX(place) FROM places)";
    NEW_PLACE = "
        INSERT INTO places (server, database, relation, taken_at, mark, marked_at)
        SELECT $1, $2, $3, $4, mark, marked_at FROM places ORDER BY place DESC LIMIT 1";
    /// Steps over a mark that another process is just leaving.
    RAISE_MARK = "
        UPDATE places SET mark = mark + 1, marked_at = GREATEST(marked_at, $1)
        WHERE place = (SELECT place FROM places
            ORDER BY place DESC LIMIT 1 FOR UPDATE SKIP LOCKED)";

    // Files
    MEDIA = "SELECT filename, content_type, bytes FROM media WHERE sha256 = $1";
    UPLOAD = "SELECT attachment_id FROM uploads WHERE gateway = $1 AND sha256 = $2";
    KEEP_UPLOAD = "
        INSERT INTO uploads (gateway, sha256, attachment_id, uploaded_at)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (gateway, sha256) DO UPDATE
        SET attachment_id = excluded.attachment_id, uploaded_at = excluded.uploaded_at";
    FORGET_UPLOADS = "
        DELETE FROM uploads WHERE gateway = $1 AND attachment_id = ANY($2::text[])";

    // Contacts
    CONTACT = "SELECT contact_id FROM contacts WHERE gateway = $1 AND phone = $2";
    KEEP_CONTACT = "
        INSERT INTO contacts (gateway, phone, contact_id) VALUES ($1, $2, $3)
        ON CONFLICT (gateway, phone) DO UPDATE SET contact_id = excluded.contact_id";
    FORGET_CONTACT = "DELETE FROM contacts WHERE gateway = $1 AND contact_id = $2";
    WHOSE_CONTACT = "
        SELECT phone FROM contacts WHERE gateway = $1 AND contact_id = $2 ORDER BY phone";

    // Schedules
    FIRST_SEEN = "
        INSERT INTO schedules (campaign, since_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    SCHEDULE_SINCE = "SELECT since_at FROM schedules WHERE campaign = $1";
    MOVE_SCHEDULE = "
        INSERT INTO schedules (campaign, since_at) VALUES ($1, $2)
        ON CONFLICT (campaign) DO UPDATE
        SET since_at = GREATEST(schedules.since_at, excluded.since_at)";
    KEEP_MISSED = "
        INSERT INTO missed (run, due_at, reason)
        SELECT v.run, v.due_at, v.reason
        FROM unnest($1::text[], $2::bigint[], $3::text[]) AS v (run, due_at, reason)
        ON CONFLICT DO NOTHING";
    MISSED = "
        SELECT run, due_at, reason FROM missed
        -- 'A' is the character after '@'; LIKE would take '_' in a name for any character
        WHERE run > $1 || '@' AND run < $1 || 'A'
        ORDER BY due_at DESC, run LIMIT $2";
    RECEIPTS_DUE = "
        SELECT id, message_id, chat_id, sent_at FROM deliveries
        WHERE run_id = $1 AND COALESCE(look_at, sent_at + 10000) <= $2
          AND (state = 'sent' OR state = 'delivered') AND message_id IS NOT NULL
        ORDER BY COALESCE(look_at, sent_at + 10000) LIMIT $3
        FOR UPDATE SKIP LOCKED";
    NEXT_LOOK = "
        SELECT COALESCE(look_at, sent_at + 10000) FROM deliveries
        WHERE run_id = $1 AND COALESCE(look_at, sent_at + 10000) < 9223372036854775807
          AND (state = 'sent' OR state = 'delivered') AND message_id IS NOT NULL
        ORDER BY COALESCE(look_at, sent_at + 10000) LIMIT 1";
    MOVE_LOOKS = "
        UPDATE deliveries SET look_at = v.at
        FROM unnest($1::bigint[], $2::bigint[]) AS v (id, at) WHERE deliveries.id = v.id";
    KEEP_RECEIPT = "
        UPDATE deliveries
        SET state = $4::text, delivered_at = COALESCE(delivered_at, $5), read_at = $6
        WHERE id = $1 AND run_id = $2 AND message_id = $3
          AND state = ANY($7::text[])";
    FAIL_LATER = "
        UPDATE deliveries SET state = 'failed', code = $4, detail = $5
        WHERE id = $1 AND run_id = $2 AND message_id = $3 AND state = ANY($6::text[])
        RETURNING attempt::bigint";
}
