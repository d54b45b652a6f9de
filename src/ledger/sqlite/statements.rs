//! Every statement of the SQLite ledger, named for its meaning. A test prepares each of them
//! against a freshly migrated database.

/// Repeats a row of placeholders eight times.
macro_rules! x8 {
    ($row:expr) => {
        concat!(
            $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row
        )
    };
}

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*

        #[cfg(test)]
        mod tests {
            /// What `query!` would check, for every statement there is.
            #[tokio::test]
            async fn every_statement_prepares_on_a_fresh_ledger() {
                use sqlx::{Executor, SqlSafeStr};
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("ledger.db");
                let ledger =
                    super::super::SqliteLedger::open(&path, super::super::Durability::None)
                        .await
                        .unwrap();
                let mut connection = ledger.writer.acquire().await.unwrap();
                $(
                    let prepared = (&mut *connection).prepare(super::$name.into_sql_str()).await;
                    assert!(prepared.is_ok(), "{}: {:?}", stringify!($name), prepared.err());
                )*
            }

            /// A run has up to a million deliveries: none is looked for by reading all of them.
            #[tokio::test]
            async fn no_statement_reads_every_delivery_or_message() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("ledger.db");
                let ledger =
                    super::super::SqliteLedger::open(&path, super::super::Durability::None)
                        .await
                        .unwrap();
                $({
                    let plan: Vec<(i64, i64, i64, String)> =
                        sqlx::query_as(concat!("EXPLAIN QUERY PLAN ", $sql))
                            .fetch_all(&ledger.writer)
                            .await
                            .unwrap();
                    let scans: Vec<&str> = plan
                        .iter()
                        .map(|(.., step)| step.as_str())
                        .filter(|step| super::reads_all(step))
                        .collect();
                    // A name that is used again is rare, and worth no index on every delivery.
                    // A new run is looked for in messages only while some name a run that is
                    // not there, and none ever does.
                    let meant = ["END_LEASES", "INSERT_RUN"].contains(&stringify!($name));
                    assert!(scans.is_empty() || meant, "{}: {scans:?}", stringify!($name));
                })*
            }
        }
    };
}

/// Whether a step of a query plan goes through a whole list.
#[cfg(test)]
fn reads_all(step: &str) -> bool {
    step.strip_prefix("SCAN ").is_some_and(|what| {
        let table = what.split(' ').next().unwrap_or_default();
        ["deliveries", "messages", "attempts", "chats", "d", "m", "c"].contains(&table)
    })
}

// `OR FAIL`: a row that is refused ends the freeze as a whole, so no statement needs the copies
// of pages that would take back its earlier rows.
macro_rules! message_rows {
    ($rows:expr) => {
        concat!(
            "INSERT OR FAIL INTO messages (id, run_id, row, recipient_key, phone, timezone, \
             content, addressed, sum) VALUES ",
            $rows,
            " ON CONFLICT DO NOTHING"
        )
    };
}

/// A list of rows, named `v`, before the statement that goes through it.
macro_rules! with_rows {
    ($columns:literal, $rows:expr, $statement:literal) => {
        concat!(
            "WITH v (",
            $columns,
            ") AS (VALUES ",
            $rows,
            ")",
            $statement
        )
    };
}

macro_rules! begin {
    ($rows:expr) => {
        with_rows!(
            "id, attempt, revision, fixed, at, lease_until, fixed_sum, owner",
            $rows,
            "
        UPDATE OR FAIL deliveries
        SET state = 'sending', attempt = deliveries.attempt + 1, touch = 0,
            revision = v.revision, fixed = v.fixed, begun_at = v.at, lease_until = v.lease_until, hold = NULL,
            fixed_sum = v.fixed_sum, unanswered_at = COALESCE(unanswered_at, v.at),
            first_attempt_at = COALESCE(first_attempt_at, v.at)
        FROM v
        WHERE deliveries.id = v.id AND deliveries.attempt = v.attempt
          AND state IN ('pending', 'sending') AND lease_owner = v.owner
          AND EXISTS (SELECT 1 FROM runs r WHERE r.id = deliveries.run_id AND r.state = 'running')
        RETURNING deliveries.id"
        )
    };
}

macro_rules! keep_attempts {
    ($rows:expr) => {
        with_rows!(
            "delivery_id, attempt, revision, begun_at, ended_at, outcome, code, http, text,
            trace_id, state, due_at, hold, tries, anew, message_id, chat_id, in_time, late",
            $rows,
            "
        INSERT OR FAIL INTO attempts (delivery_id, attempt, revision, begun_at, ended_at, outcome,
            code, http, text, trace_id, state, due_at, hold, tries, anew, message_id, chat_id,
            late, sum)
        SELECT v.delivery_id, v.attempt, v.revision, v.begun_at, v.ended_at, v.outcome, v.code,
            v.http, v.text, v.trace_id, v.state, v.due_at, v.hold, v.tries, v.anew, v.message_id,
            v.chat_id, NOT (d.attempt = v.attempt AND d.state = 'sending'),
            CASE WHEN d.attempt = v.attempt AND d.state = 'sending' THEN v.in_time ELSE v.late END
        FROM v
        -- of an attempt that was never begun there is nothing to keep
        JOIN deliveries d ON d.id = v.delivery_id AND d.attempt >= v.attempt
        WHERE TRUE
        -- what is known is kept; only what was not known may still be learnt
        ON CONFLICT (delivery_id, attempt) DO UPDATE
        SET ended_at = excluded.ended_at, outcome = excluded.outcome, late = excluded.late,
            code = excluded.code, http = excluded.http, text = excluded.text,
            trace_id = excluded.trace_id, state = excluded.state, due_at = excluded.due_at,
            hold = excluded.hold, tries = excluded.tries, anew = excluded.anew,
            message_id = excluded.message_id, chat_id = excluded.chat_id, sum = excluded.sum
        WHERE attempts.outcome = 'lost'
        RETURNING delivery_id"
        )
    };
}

macro_rules! record {
    ($rows:expr) => {
        with_rows!(
            "id, attempt, state, due_at, hold, tries, anew, code, detail, message_id, chat_id,
            sent_at",
            $rows,
            "
        UPDATE OR FAIL deliveries
        SET state = v.state, due_at = COALESCE(v.due_at, deliveries.due_at), hold = v.hold,
            tries = COALESCE(v.tries, deliveries.tries), revision = revision + v.anew,
            fixed = CASE WHEN v.anew THEN NULL ELSE fixed END,
            fixed_sum = CASE WHEN v.anew THEN NULL ELSE fixed_sum END,
            code = v.code, detail = v.detail, message_id = v.message_id,
            chat_id = v.chat_id, sent_at = v.sent_at,
            unanswered_at = CASE WHEN v.state IN ('sending', 'uncertain') THEN unanswered_at END,
            lease_owner = NULL,
            -- still without an answer: to be asked again at that time
            lease_until = CASE WHEN v.state = 'sending' THEN v.due_at END
        FROM v
        WHERE deliveries.id = v.id AND deliveries.attempt = v.attempt
          AND deliveries.state = 'sending'
        RETURNING deliveries.id"
        )
    };
}

/// Deliveries of a kind that are due and nobody's.
macro_rules! due {
    ($touch:literal, $most:literal) => {
        concat!(
            "SELECT * FROM (
            SELECT due_at, id FROM deliveries
            WHERE run_id = ?1 AND line = ?2 AND touch = ",
            $touch,
            " AND state = 'pending'
              AND due_at <= ?4 AND (due_at <= ?3 OR due_at = ?4)
              AND (lease_until IS NULL OR lease_until <= ?3
                OR lease_owner IN (SELECT owner FROM owners WHERE gone = 1))
            ORDER BY due_at, id LIMIT ",
            $most,
            ")"
        )
    };
}

macro_rules! keep_chats {
    ($rows:expr) => {
        concat!(
            "INSERT OR FAIL INTO chats (gateway, phone, chat_id, line) VALUES ",
            $rows,
            " ON CONFLICT (gateway, phone) DO UPDATE SET chat_id = excluded.chat_id"
        )
    };
}

/// The voice of the row has the person on the list.
macro_rules! listed {
    () => {
        "(s.at IS NOT NULL AND (s.lifted_at IS NULL OR s.at >= s.lifted_at))"
    };
}

macro_rules! reply_columns {
    () => {
        "p.id, p.event_id, p.gateway, p.phone, p.channel, p.line, p.chat_id, p.text, p.at,
            p.received_at, r.run, m.row, p.heard, p.handled_at
        FROM replies p
        LEFT JOIN runs r ON r.id = p.run_id
        LEFT JOIN messages m ON m.id = p.delivery_id"
    };
}

statements! {
    // The file
    /// Holds the write lock from its first moment, so that no read in it can grow stale.
    BEGIN_IMMEDIATE = "BEGIN IMMEDIATE";
    GET_APPLICATION_ID = "PRAGMA application_id";
    /// Whether every name and type is plain text; they are in every ledger that is whole.
    SCHEMA_IS_PLAIN = "
        SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema
            WHERE name || tbl_name || COALESCE(sql, '') GLOB '*[^ -~' || char(10) || ']*')";
    MIGRATIONS_APPLIED = "SELECT COUNT(*) FROM _sqlx_migrations";
    MIGRATION_APPLIED = "SELECT MAX(version) FROM _sqlx_migrations";
    TABLES = "SELECT COUNT(*) FROM sqlite_schema";
    WRITE_AHEAD = "PRAGMA journal_mode = WAL";

    // Freezing
    RUN_EXISTS = "SELECT 1 FROM runs WHERE run = ?";
    NEXT_DELIVERY = "SELECT COALESCE(MAX(id), 0) + 1 FROM deliveries";
    INSERT_RUN = "
        INSERT INTO runs (run, campaign, occurrence, gateway, state, terms, files, first_delivery,
            total, created_at, starts_at)
        VALUES (?, ?, ?, ?, 'running', ?, '[]', ?, 0, ?, ?)";
    SEAL_RUN = "UPDATE runs SET total = ?, files = ?, list_sum = ?, sum = ? WHERE id = ?";
    INSERT_RUN_LINE = "INSERT INTO run_lines (run_id, line) VALUES (?, ?)";
    INSERT_MESSAGES_512 = message_rows!(x8!(x8!(x8!("(?,?,?,?,?,?,?,?,?)"))));
    INSERT_MESSAGES_64 = message_rows!(x8!(x8!("(?,?,?,?,?,?,?,?,?)")));
    INSERT_MESSAGES_8 = message_rows!(x8!("(?,?,?,?,?,?,?,?,?)"));
    INSERT_MESSAGE = message_rows!("(?,?,?,?,?,?,?,?,?)");
    /// The lines of consecutive deliveries, and what each is; where there is none, the row is
    /// skipped.
    INSERT_PENDING = "
        INSERT OR FAIL INTO deliveries (id, run_id, line, touch, state, due_at)
        SELECT ?1 + j.key, ?2, j.value ->> 0, j.value ->> 1, 'pending', ?3
        FROM json_each(?4) j WHERE j.type = 'array'";
    INSERT_SKIPPED = "
        INSERT OR FAIL INTO deliveries (id, run_id, line, touch, state, reason, detail, due_at)
        SELECT j.value ->> 0, ?1, '', 0, 'skipped', j.value ->> 1, j.value ->> 2, ?2
        FROM json_each(?3) j";
    MESSAGES_BETWEEN = "SELECT id FROM messages WHERE id BETWEEN ? AND ?";
    /// The first row for this phone or this key; where no key is kept, the phone is the key.
    FIRST_ROW_OF = "
        SELECT MIN(row) FROM (
            SELECT row FROM messages
            WHERE run_id = ?1 AND step = 0 AND addressed = 1 AND phone = ?2
            UNION ALL
            SELECT row FROM messages
            WHERE run_id = ?1 AND step = 0 AND addressed = 1 AND recipient_key = ?3
            UNION ALL
            SELECT row FROM messages
            WHERE run_id = ?1 AND step = 0 AND addressed = 1 AND phone = ?3
              AND recipient_key IS NULL)";
    KNOWN_CHATS = "
        SELECT phone, chat_id, line FROM chats
        WHERE gateway = ? AND phone IN (SELECT value FROM json_each(?))";
    INSERT_MEDIA = "
        INSERT INTO media (sha256, filename, content_type, bytes, sum) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO NOTHING";

    KEEP_ACCOUNT = "
        INSERT INTO accounts (gateway, account) VALUES (?, ?) ON CONFLICT DO NOTHING";
    ACCOUNT = "SELECT account FROM accounts WHERE gateway = ?";

    // Runs
    RUN = "SELECT * FROM runs WHERE run = ?";
    RUNS = "SELECT * FROM runs ORDER BY id DESC";
    RUNNING = "SELECT run, gateway FROM runs WHERE state = 'running' ORDER BY id";
    REHEARSALS = "
        SELECT occurrence FROM runs WHERE campaign = ? AND occurrence LIKE 'rehearsal-%'";
    SET_STATE = "
        UPDATE runs
        SET state = ?1, reason = ?2,
            finished_at = CASE WHEN ?1 IN ('finished', 'cancelled')
                THEN COALESCE(finished_at, ?3) END
        WHERE id = ?4";
    CANCEL_PENDING = "
        UPDATE deliveries
        SET state = 'cancelled', hold = NULL, lease_owner = NULL, lease_until = NULL
        WHERE run_id = ? AND state = 'pending'";
    /// Nobody will ask for them again: only a person can tell whether they went out.
    CANCEL_UNANSWERED = "
        UPDATE deliveries
        SET state = 'uncertain', lease_owner = NULL, lease_until = NULL,
            detail = COALESCE(detail, 'the run was cancelled before an answer came')
        WHERE run_id = ?1 AND state = 'sending'
          AND (lease_owner IS NULL OR lease_until <= ?2
            OR lease_owner IN (SELECT owner FROM owners WHERE gone = 1))";
    /// Those that [`CANCEL_UNANSWERED`] is about to give up.
    UNANSWERED_IN_CANCELLED = "
        SELECT id, attempt, revision, begun_at FROM deliveries
        WHERE run_id = ?1 AND state = 'sending'
          AND (lease_owner IS NULL OR lease_until <= ?2
            OR lease_owner IN (SELECT owner FROM owners WHERE gone = 1))";
    FINISH = "
        UPDATE runs SET state = 'finished', finished_at = ?2
        WHERE id = ?1 AND state = 'running'
          AND NOT EXISTS (SELECT 1 FROM deliveries WHERE run_id = ?1 AND state = 'sending')
          AND NOT EXISTS (SELECT 1 FROM deliveries WHERE run_id = ?1 AND state = 'pending')";
    COUNTS = "
        SELECT state, COUNT(*), COUNT(*) FILTER (WHERE state = 'sent'
            AND look_at = 9223372036854775807 AND message_id IS NOT NULL)
        FROM deliveries WHERE id BETWEEN ? AND ? GROUP BY state";
    /// Most deliveries have nothing to tell but their state: to sort them, too, would take longer
    /// than to count them on the way.
    FACTS = "
        SELECT 'sent' AS state, NULL AS reason, NULL AS hold, NULL AS code, NULL AS text,
            COUNT(*) AS n, MIN(due_at) AS due_at, MIN(sent_at) AS first_sent_at,
            MAX(sent_at) AS last_sent_at,
            COUNT(*) FILTER (WHERE look_at = 9223372036854775807
                AND message_id IS NOT NULL) AS silent
        FROM deliveries
        WHERE id BETWEEN ?1 AND ?2
            AND state = 'sent' AND reason IS NULL AND hold IS NULL AND code IS NULL
        HAVING n > 0
        UNION ALL
        SELECT 'pending', NULL, NULL, NULL, NULL, COUNT(*) AS n, MIN(due_at), MIN(sent_at),
            MAX(sent_at), 0
        FROM deliveries
        WHERE id BETWEEN ?1 AND ?2
            AND state = 'pending' AND reason IS NULL AND hold IS NULL AND code IS NULL
        HAVING n > 0
        UNION ALL
        SELECT state, reason, hold, code,
            CASE WHEN state IN ('failed', 'uncertain') THEN detail END, COUNT(*), MIN(due_at),
            MIN(sent_at), MAX(sent_at),
            COUNT(*) FILTER (WHERE state = 'sent' AND look_at = 9223372036854775807
                AND message_id IS NOT NULL)
        FROM deliveries
        WHERE id BETWEEN ?1 AND ?2 AND NOT (state IN ('sent', 'pending')
            AND reason IS NULL AND hold IS NULL AND code IS NULL)
        GROUP BY 1, 2, 3, 4, 5";
    OPEN_GATES = "
        SELECT line, until_at, inactive_at, reason FROM gates
        WHERE gateway = ? AND recipient = ''
          AND (until_at > ? OR inactive_at IS NOT NULL) ORDER BY line";
    /// Of a run, from one line, by what they wait for.
    WAITING_ON_LINE = "
        SELECT hold, COUNT(*) FROM deliveries
        WHERE id BETWEEN ? AND ? AND line = ? AND state = 'pending' GROUP BY hold";
    /// In every run of the gateway, by the index of each.
    MESSAGES_TO = "
        SELECT d.message_id FROM runs r
        CROSS JOIN messages m ON m.run_id = r.id AND m.step = 0 AND m.phone = ?2 AND m.addressed = 1
        JOIN deliveries d ON d.id = m.id
        WHERE r.gateway = ?1 AND d.message_id IS NOT NULL";
    DELIVERIES = "
        SELECT d.*, m.row, m.step, m.recipient_key, m.phone
        FROM deliveries d JOIN messages m ON m.id = d.id
        WHERE d.id > ? AND d.id <= ? ORDER BY d.id LIMIT ?";

    // History
    /// Makes room for as many more, and says the last one's number.
    COUNT_EVENTS = "UPDATE runs SET events = events + ?2 WHERE id = ?1 RETURNING events";
    INSERT_EVENTS = "
        INSERT INTO events (run_id, seq, delivery_id, attempt, at, what, sum)
        SELECT ?1, v.value ->> 0, v.value ->> 1, v.value ->> 2, v.value ->> 3, v.value ->> 4,
            v.value ->> 5
        FROM json_each(?2) v";
    /// Attempts of which nothing is known but that they were begun.
    KEEP_LOST = "
        INSERT INTO attempts (delivery_id, attempt, revision, begun_at, outcome, sum)
        SELECT v.value ->> 0, v.value ->> 1, v.value ->> 2, v.value ->> 3, 'lost', v.value ->> 4
        FROM json_each(?) v WHERE TRUE ON CONFLICT DO NOTHING";

    // Proof
    STRUCTURE = "PRAGMA integrity_check(20)";
    RUNS_KEPT = "SELECT * FROM runs ORDER BY id";
    ORPHANS = "
        SELECT DISTINCT run_id FROM run_lines WHERE run_id NOT IN (SELECT id FROM runs)";
    /// What is open in a run, by its own indexes, and not in its list.
    STRAYS = "
        SELECT id FROM deliveries
        WHERE run_id = ?1 AND state = 'pending' AND (id < ?2 OR id >= ?3)
        UNION ALL
        SELECT id FROM deliveries
        WHERE run_id = ?1 AND state = 'sending' AND (id < ?2 OR id >= ?3)
        LIMIT 20";
    /// A place that is no number is none: behind it there would always be another.
    EVENTS_OF_RUN = "
        SELECT * FROM events
        WHERE run_id = ? AND seq > ? AND typeof(seq) = 'integer' ORDER BY seq LIMIT ?";
    MESSAGES_KEPT = "SELECT * FROM messages WHERE id BETWEEN ? AND ?";
    DELIVERIES_KEPT = "SELECT * FROM deliveries WHERE id BETWEEN ? AND ?";
    ATTEMPTS_KEPT = "
        SELECT * FROM attempts WHERE delivery_id BETWEEN ? AND ? ORDER BY delivery_id, attempt";
    EVENTS_KEPT = "
        SELECT * FROM events WHERE delivery_id BETWEEN ? AND ? ORDER BY delivery_id, seq";
    MEDIA_KEPT = "SELECT filename, content_type, bytes, sum FROM media WHERE sha256 = ?";

    // One person, and an operator's word
    /// By phone or key; those that are to be written to first. Rows that were left out stand in
    /// no index: they are looked for in the run's own list.
    FIND = "
        SELECT id, addressed FROM messages
        WHERE run_id = ?1 AND step = 0 AND addressed = 1 AND phone = ?2
        UNION
        SELECT id, addressed FROM messages
        WHERE run_id = ?1 AND step = 0 AND addressed = 1 AND recipient_key = ?3
        UNION
        SELECT id, addressed FROM messages
        WHERE id BETWEEN ?4 AND ?5 AND addressed = 0 AND (phone = ?2 OR recipient_key = ?3)
        ORDER BY 2 DESC, 1 LIMIT 100";
    DELIVERY = "
        SELECT d.*, m.row, m.step, m.recipient_key, m.phone, m.content, o.gone AS owner_gone
        FROM deliveries d JOIN messages m ON m.id = d.id
        LEFT JOIN owners o ON o.owner = d.lease_owner
        WHERE d.id = ?";
    EVENTS_OF_RUN_ITSELF = "
        SELECT * FROM events WHERE run_id = ? AND delivery_id IS NULL ORDER BY seq";
    /// The newest earlier run of the gateway whose message to this person went out by this line.
    KNOWN_FROM = "
        SELECT r.run FROM deliveries d
        JOIN messages m ON m.id = d.id
        JOIN runs now ON now.id = d.run_id
        JOIN runs r ON r.gateway = now.gateway AND r.id < now.id
        CROSS JOIN messages e ON e.run_id = r.id AND e.step = 0 AND e.phone = m.phone
            AND e.addressed = 1
        JOIN deliveries s ON s.id = e.id AND s.line = d.line AND s.sent_at IS NOT NULL
        WHERE d.id = ? ORDER BY r.id DESC LIMIT 1";
    IN_STATE = "
        SELECT d.*, m.row, m.step, m.recipient_key, m.phone
        FROM deliveries d JOIN messages m ON m.id = d.id
        WHERE d.id BETWEEN ?1 AND ?2 AND d.state = ?3 ORDER BY d.id LIMIT ?4";
    /// Of each line and kind.
    NEXT_DUE = "
        SELECT line, touch, due_at FROM (
            SELECT l.line, t.column1 AS touch, (SELECT MIN(d.due_at) FROM deliveries d
                WHERE d.run_id = l.run_id AND d.line = l.line AND d.touch = t.column1
                  AND d.state = 'pending') AS due_at
            FROM run_lines l JOIN (VALUES (0), (1), (2)) t WHERE l.run_id = ?)
        WHERE due_at IS NOT NULL";
    FAILED = "
        SELECT id, attempt, code FROM deliveries
        WHERE id > ?1 AND id <= ?2 AND state = 'failed' AND (?3 IS NULL OR code = ?3)
          AND (message_id IS NOT NULL) = ?5
        ORDER BY id LIMIT ?4";
    PUT_BACK = "
        UPDATE deliveries
        SET state = 'pending', hold = NULL, code = NULL, detail = NULL, message_id = NULL,
            chat_id = NULL, sent_at = NULL, due_at = ?2, tries = 0, revision = revision + ?3,
            fixed = CASE WHEN ?3 THEN NULL ELSE fixed END,
            fixed_sum = CASE WHEN ?3 THEN NULL ELSE fixed_sum END,
            first_attempt_at = NULL, unanswered_at = NULL, aged_ms = 0, lease_owner = NULL,
            lease_until = NULL, look_at = NULL
        WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'failed'";
    /// Key and body stay: if the person is wrong, the key still protects.
    RESOLVE = "
        UPDATE deliveries
        SET state = ?3, hold = NULL, code = NULL, detail = NULL, message_id = NULL, chat_id = NULL,
            sent_at = CASE ?3 WHEN 'sent' THEN begun_at END,
            due_at = CASE ?3 WHEN 'sent' THEN due_at ELSE ?4 END,
            tries = CASE ?3 WHEN 'sent' THEN tries ELSE 0 END,
            first_attempt_at = NULL, unanswered_at = NULL, aged_ms = 0, lease_owner = NULL,
            lease_until = NULL
        WHERE id = ?1 AND run_id = ?2 AND state = 'uncertain'
        RETURNING attempt";

    // People who opted out
    SUPPRESSION_ROWS = "
        SELECT s.* FROM json_each(?1) j CROSS JOIN suppressions s ON s.phone = j.value AND s.scope = ?2";
    PUT_SUPPRESSIONS = "
        INSERT INTO suppressions (phone, scope, voice, at, source, reason, run_id, event_id,
            lifted_at, lifted_by, lift_reason)
        SELECT v.value ->> 0, v.value ->> 1, v.value ->> 2, v.value ->> 3, v.value ->> 4,
            v.value ->> 5, v.value ->> 6, v.value ->> 7, v.value ->> 8, v.value ->> 9,
            v.value ->> 10
        FROM json_each(?) v WHERE TRUE
        ON CONFLICT (phone, scope, voice) DO UPDATE
        SET at = excluded.at, source = excluded.source, reason = excluded.reason,
            run_id = excluded.run_id, event_id = excluded.event_id,
            lifted_at = excluded.lifted_at, lifted_by = excluded.lifted_by,
            lift_reason = excluded.lift_reason";
    NOTE_OPT_OUTS = "
        INSERT INTO suppression_events (phone, scope, what, source, reason, at, noted_at, run_id,
            event_id)
        SELECT v.value ->> 0, v.value ->> 1, v.value ->> 2, v.value ->> 3, v.value ->> 4,
            v.value ->> 5, v.value ->> 6, v.value ->> 7, v.value ->> 8
        FROM json_each(?) v";
    SUPPRESSED = concat!("
        SELECT s.phone, s.source, s.reason, s.at, r.run, s.event_id
        FROM json_each(?1) j
        CROSS JOIN suppressions s ON s.phone = j.value AND s.scope IN ('', ?2)
        LEFT JOIN runs r ON r.id = s.run_id
        WHERE ", listed!(), " ORDER BY s.phone, s.voice DESC");
    /// One row for each person: the own word before the operator's.
    SUPPRESSIONS = concat!("
        SELECT s.phone, s.source, s.reason, s.at, r.run, s.event_id
        FROM suppressions s LEFT JOIN runs r ON r.id = s.run_id
        WHERE s.phone > ?1 AND s.scope = '' AND ", listed!(), "
          AND (s.voice = 'person' OR NOT EXISTS (
            SELECT 1 FROM suppressions o
            WHERE o.phone = s.phone AND o.scope = '' AND o.voice = 'person' AND o.at IS NOT NULL
              AND (o.lifted_at IS NULL OR o.at >= o.lifted_at)))
        ORDER BY s.phone LIMIT ?2");
    OPT_OUTS_OF = "
        SELECT s.scope, s.what, s.source, s.reason, s.at, s.noted_at, r.run, s.event_id
        FROM suppression_events s LEFT JOIN runs r ON r.id = s.run_id
        WHERE s.phone = ? ORDER BY s.id";
    KNOWN_REPLY = "
        SELECT p.id, p.heard, r.run FROM replies p LEFT JOIN runs r ON r.id = p.run_id
        WHERE p.gateway = ? AND p.event_id = ?";
    /// In every run of the gateway, by the index of each. When it was begun and not when the
    /// provider said so: an answer may be quicker than that.
    REPLY_ORIGIN = "
        SELECT d.run_id, d.id AS delivery_id, r.run FROM runs r
        CROSS JOIN messages m ON m.run_id = r.id AND m.step = 0 AND m.phone = ?2 AND m.addressed = 1
        JOIN deliveries d ON d.id = m.id
        WHERE r.gateway = ?1 AND d.begun_at <= ?3
          AND (d.sent_at IS NOT NULL OR d.state IN ('sending', 'uncertain'))
        ORDER BY d.begun_at DESC, d.id DESC LIMIT 1";
    INSERT_REPLY = "
        INSERT INTO replies (gateway, event_id, phone, channel, line, chat_id, text, at,
            received_at, run_id, delivery_id, heard, handled_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (gateway, event_id) DO NOTHING RETURNING id";
    ANSWERS_READ_TO = "SELECT read_to FROM readings WHERE gateway = ?";
    KEEP_ANSWERS_READ_TO = "
        INSERT INTO readings (gateway, read_to) VALUES (?, ?)
        ON CONFLICT (gateway) DO UPDATE SET read_to = MAX(readings.read_to, excluded.read_to)";
    LAST_REPLIES = "
        SELECT phone, MAX(at) FROM replies
        WHERE phone IN (SELECT value FROM json_each(?3)) AND channel = ?2 AND gateway = ?1
          AND channel <> ''
        GROUP BY phone";
    SETTLE_REVIEWS = "
        UPDATE replies SET handled_at = ?2
        WHERE phone IN (SELECT value FROM json_each(?1)) AND heard = 'review'
          AND handled_at IS NULL";
    REVIEWED = "
        UPDATE replies SET handled_at = ?2
        WHERE id = ?1 AND heard = 'review' AND handled_at IS NULL";
    TO_REVIEW = concat!("
        SELECT ", reply_columns!(), "
        WHERE p.id > ?1 AND p.heard = 'review' AND p.handled_at IS NULL ORDER BY p.id LIMIT ?2");
    ANSWERS = "
        SELECT COUNT(*), COUNT(DISTINCT CASE WHEN heard = 'stop' THEN phone END),
            COUNT(CASE WHEN heard = 'review' AND handled_at IS NULL THEN 1 END)
        FROM replies WHERE run_id = ?";
    FIRST_OPT_OUTS = concat!("
        SELECT ", reply_columns!(), "
        WHERE p.run_id = ?1 AND p.heard = 'stop' AND NOT EXISTS (
            SELECT 1 FROM replies e
            WHERE e.run_id = ?1 AND e.heard = 'stop' AND e.phone = p.phone
              AND (e.at < p.at OR e.at = p.at AND e.id < p.id))
        ORDER BY p.at, p.id LIMIT ?2");

    // Events
    KEEP_EVENT = "
        INSERT INTO inbox (gateway, event_id, kind, body, received_at, due_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO NOTHING";
    /// One that is from the future by a clock that was set back since is due as well.
    WAITING_EVENTS = "
        SELECT event_id, body, received_at FROM inbox
        WHERE gateway = ?1 AND handled_at IS NULL AND (due_at <= ?2 OR received_at > ?2 + 60000)
        ORDER BY due_at, event_id LIMIT ?3";
    EVENTS_LEFT = "
        SELECT COUNT(*) FROM inbox WHERE gateway = ?1 AND handled_at IS NULL";
    EVENT_HANDLED = "
        UPDATE inbox SET handled_at = ?4, note = ?3
        WHERE gateway = ?1 AND event_id = ?2 AND handled_at IS NULL";
    PUT_OFF_EVENT = "
        UPDATE inbox SET due_at = ?3
        WHERE gateway = ?1 AND event_id = ?2 AND handled_at IS NULL";
    FORGET_EVENTS = "DELETE FROM inbox WHERE handled_at IS NOT NULL AND handled_at < ?1";
    /// By the index of messages that have a channel in the place of a line.
    DELIVERY_OF = "
        SELECT d.id, r.run FROM deliveries d JOIN runs r ON r.id = d.run_id
        WHERE d.message_id = ?2 AND d.message_id IS NOT NULL AND d.line >= 'a'
          AND r.gateway = ?1 ORDER BY d.id LIMIT 1";

    // Owners
    ATTEND = "UPDATE owners SET run_id = ?2, worker = ?3 WHERE owner = ?1";
    PRESENT = "
        SELECT owner, worker, enlisted_at FROM owners
        WHERE run_id = ? AND gone = 0 ORDER BY enlisted_at, owner";
    WORKERS = "
        SELECT o.owner, o.worker, o.enlisted_at, o.run_id, r.run, NULL AS silent_ms
        FROM owners o LEFT JOIN runs r ON r.id = o.run_id
        WHERE o.gone = 0 ORDER BY o.enlisted_at, o.owner";
    /// Leases of a run, by owner: claimed, and begun. Goes through all that is open of it.
    HELD = "
        SELECT lease_owner, 'pending' AS state, COUNT(*) FROM deliveries
        WHERE run_id = ?1 AND state = 'pending' AND lease_owner IS NOT NULL AND lease_until > ?2
        GROUP BY lease_owner
        UNION ALL
        SELECT lease_owner, 'sending', COUNT(*) FROM deliveries
        WHERE run_id = ?1 AND state = 'sending' AND lease_owner IS NOT NULL
        GROUP BY lease_owner";
    /// Only what nobody has taken over meanwhile.
    RENEW = "
        UPDATE deliveries SET lease_until = MAX(lease_until, ?3)
        WHERE id IN (SELECT value FROM json_each(?2)) AND lease_owner = ?1
          AND state IN ('pending', 'sending')
        RETURNING id";
    OWNERS = "SELECT owner, gone FROM owners";
    OWNER_KNOWN = "SELECT 1 FROM owners WHERE owner = ?";
    ENLIST = "
        INSERT INTO owners (owner, enlisted_at) VALUES (?, ?)
        ON CONFLICT (owner) DO UPDATE
        SET enlisted_at = excluded.enlisted_at, gone = 0, forget_at = NULL, run_id = NULL,
            worker = NULL";
    /// Reads every delivery: only for a name that is used again.
    END_LEASES = "
        UPDATE deliveries SET lease_owner = NULL, lease_until = ?2 WHERE lease_owner = ?1";
    GONE = "UPDATE owners SET gone = 1 WHERE owner = ?";
    FORGET_LATER = "UPDATE owners SET forget_at = ? WHERE gone = 1 AND forget_at IS NULL";
    FORGET_OWNERS = "DELETE FROM owners WHERE gone = 1 AND forget_at < ?";

    // Claiming
    RUN_STATE = "SELECT state FROM runs WHERE id = ?";
    RUN_LINES = "SELECT line FROM run_lines WHERE run_id = ? ORDER BY line";
    /// Attempts without an outcome whose lease is over.
    UNANSWERED = "
        SELECT id FROM deliveries
        WHERE run_id = ?1 AND state = 'sending' AND line = ?2
          AND (lease_until <= ?3 OR lease_owner IN (SELECT owner FROM owners WHERE gone = 1))
        ORDER BY id LIMIT ?4";
    /// Of each kind as many as there is room for.
    DUE = concat!(due!("0", "?5"), " UNION ALL ", due!("1", "?6"), " UNION ALL ", due!("2", "?7"));
    /// The one delivery to a person, if it may be claimed; and when it is open, its due time.
    ONLY = "
        SELECT d.id, d.line, d.state, d.due_at, d.lease_until,
            d.lease_owner IN (SELECT owner FROM owners WHERE gone = 1) AS orphaned
        FROM messages m JOIN deliveries d ON d.id = m.id
        WHERE m.run_id = ? AND m.step = 0 AND m.phone = ? AND m.addressed = 1
          AND d.state IN ('pending', 'sending')";
    CANDIDATES = concat!("
        SELECT d.id, d.line, d.state, d.attempt, d.tries, d.revision, d.first_attempt_at, d.fixed,
            d.begun_at, d.unanswered_at, d.aged_ms, m.row, m.recipient_key, m.phone, m.timezone, m.content,
            c.chat_id, c.line AS chat_line, g.until_at AS gate_until,
            EXISTS (SELECT 1 FROM suppressions s
                WHERE s.phone = m.phone AND s.scope IN ('', ?2) AND ", listed!(), ") AS opted_out
        FROM json_each(?1) j
        JOIN deliveries d ON d.id = j.value
        JOIN messages m ON m.id = d.id
        LEFT JOIN chats c ON c.gateway = ?2 AND c.phone = m.phone
        LEFT JOIN gates g ON g.gateway = ?2 AND g.recipient = m.phone AND g.line = ''
        ORDER BY j.key");
    LEASE = "
        UPDATE OR FAIL deliveries SET lease_owner = ?1, lease_until = ?2
        WHERE id IN (SELECT value FROM json_each(?3))";
    HOLD_BACK = "
        UPDATE OR FAIL deliveries SET due_at = v.value ->> 1, hold = v.value ->> 2,
            lease_owner = NULL, lease_until = NULL
        FROM json_each(?) v WHERE deliveries.id = v.value ->> 0 AND state = 'pending'";
    /// The same for attempts without an answer, which stay so.
    HOLD_DOUBT = "
        UPDATE OR FAIL deliveries SET lease_owner = NULL, lease_until = v.value ->> 1
        FROM json_each(?) v WHERE deliveries.id = v.value ->> 0 AND state = 'sending'";
    SKIP = "
        UPDATE OR FAIL deliveries SET state = 'skipped', reason = v.value ->> 1, hold = NULL,
            detail = COALESCE(v.value ->> 2, detail), lease_owner = NULL, lease_until = NULL
        FROM json_each(?) v WHERE deliveries.id = v.value ->> 0 AND state = 'pending'";
    /// Whoever is on the list by both voices comes by the own word first.
    OPTED_OUT = concat!("
        SELECT d.id, d.run_id, d.attempt, d.lease_owner, s.phone, s.source, s.reason, s.at
        FROM json_each(?) j
        JOIN deliveries d ON d.id = j.value AND d.state = 'pending'
        JOIN runs r ON r.id = d.run_id AND r.state = 'running'
        JOIN messages m ON m.id = d.id
        JOIN suppressions s ON s.phone = m.phone AND s.scope IN ('', r.gateway)
        WHERE ", listed!(), " ORDER BY d.id, s.voice DESC");
    /// Of each kind the next that nobody holds; steps over those that are held, which stand in
    /// front.
    NEXT_FREE = "
        SELECT t.column1, (SELECT due_at FROM deliveries
            WHERE run_id = ?1 AND line = ?2 AND touch = t.column1 AND state = 'pending'
              AND (lease_until IS NULL OR lease_until <= ?3
                OR lease_owner IN (SELECT owner FROM owners WHERE gone = 1))
            ORDER BY due_at LIMIT 1)
        FROM (VALUES (0), (1), (2)) t";
    /// Of some kinds, when the first of those that somebody holds is free again; for kinds of which
    /// none is free now.
    NEXT_GIVEN_BACK = "
        SELECT touch, MIN(lease_until) FROM deliveries
        WHERE run_id = ?1 AND line = ?2 AND touch IN (SELECT value FROM json_each(?4))
          AND state = 'pending' AND due_at <= ?3 AND lease_until > ?3
        GROUP BY touch";
    NEXT_UNANSWERED = "
        SELECT line, MIN(CASE WHEN lease_owner IN (SELECT owner FROM owners WHERE gone = 1)
            THEN begun_at ELSE lease_until END)
        FROM deliveries WHERE run_id = ? AND state = 'sending' GROUP BY line";
    ARRIVALS = "
        SELECT subject, tat_us FROM pace
        WHERE gateway = ? AND subject IN (SELECT value FROM json_each(?))";
    SET_ARRIVAL = "
        INSERT INTO pace (gateway, subject, tat_us) VALUES (?, ?, ?)
        ON CONFLICT (gateway, subject) DO UPDATE SET tat_us = MAX(tat_us, excluded.tat_us)";

    // Caps
    /// Of each, when it last counted anybody, and the newest day, not after the one asked for, on
    /// which it did.
    CAPS_USED = "
        SELECT v.value ->> 0 AS gateway, v.value ->> 1 AS subject, v.value ->> 2 AS asked_day,
            c.last_at, t.day, t.nth, t.taken
        FROM json_each(?) v
        LEFT JOIN caps c ON c.gateway = v.value ->> 0 AND c.subject = v.value ->> 1
        LEFT JOIN cap_days t ON t.gateway = v.value ->> 0 AND t.subject = v.value ->> 1
            AND t.day = (SELECT MAX(n.day) FROM cap_days n
                WHERE n.gateway = v.value ->> 0 AND n.subject = v.value ->> 1
                  AND n.day <= v.value ->> 2)";
    COUNT_CAPS = "
        INSERT INTO caps (gateway, subject, last_at, until_at)
        SELECT v.value ->> 0, v.value ->> 1, v.value ->> 5, v.value ->> 6
        FROM json_each(?) v WHERE TRUE
        ON CONFLICT (gateway, subject) DO UPDATE
        SET last_at = MAX(last_at, excluded.last_at), until_at = excluded.until_at";
    CAPS_UNTIL = "SELECT subject, until_at FROM caps WHERE gateway = ? AND until_at IS NOT NULL";
    COUNT_DAYS = "
        INSERT INTO cap_days (gateway, subject, day, nth, taken)
        SELECT v.value ->> 0, v.value ->> 1, v.value ->> 2, v.value ->> 3, v.value ->> 4
        FROM json_each(?) v WHERE TRUE
        ON CONFLICT (gateway, subject, day) DO UPDATE SET taken = taken + excluded.taken";
    /// Claims of an owner that are still its own, in running runs.
    OWN_FRESH = "
        SELECT d.id, d.run_id FROM json_each(?1) j
        JOIN deliveries d ON d.id = j.value
        JOIN runs r ON r.id = d.run_id AND r.state = 'running'
        WHERE d.state = 'pending' AND d.attempt = 0 AND d.lease_owner = ?2
        ORDER BY d.id";

    // The writer
    /// An earlier attempt whose process ended before its outcome was recorded.
    KEEP_LOST_BEFORE = "
        INSERT INTO attempts (delivery_id, attempt, revision, begun_at, outcome, sum)
        SELECT d.id, d.attempt, v.value ->> 2, v.value ->> 3, 'lost', v.value ->> 4
        FROM json_each(?1) v
        JOIN deliveries d ON d.id = v.value ->> 0 AND d.attempt = v.value ->> 1
        JOIN runs r ON r.id = d.run_id AND r.state = 'running'
        WHERE d.state = 'sending' AND d.lease_owner = ?2
        ON CONFLICT DO NOTHING";
    ANY_GATE = "
        SELECT EXISTS (SELECT 1 FROM gates WHERE until_at > ?)
            OR EXISTS (SELECT 1 FROM gates WHERE inactive_at IS NOT NULL)";
    /// Claims of an owner that an open gate holds, and until when.
    GATED = "
        SELECT d.id, d.run_id, d.attempt, d.state, g.line, g.recipient, g.inactive_at,
            MAX(g.until_at) AS until_at
        FROM json_each(?1) j
        JOIN deliveries d ON d.id = j.value ->> 0 AND d.attempt = j.value ->> 1
        JOIN messages m ON m.id = d.id
        JOIN runs r ON r.id = d.run_id AND r.state = 'running'
        JOIN gates g ON g.gateway = r.gateway
            AND (g.until_at > ?3 OR g.inactive_at IS NOT NULL)
            AND (g.recipient = '' AND g.line IN ('', d.line) OR g.recipient = m.phone AND g.line = '')
        WHERE d.lease_owner = ?2 AND d.state IN ('pending', 'sending')
        GROUP BY d.id";
    // The rows of a group go as plain values, so many at a time.
    BEGIN_64 = begin!(x8!(x8!("(?,?,?,?,?,?,?,?)")));
    BEGIN_8 = begin!(x8!("(?,?,?,?,?,?,?,?)"));
    BEGIN_1 = begin!("(?,?,?,?,?,?,?,?)");
    /// Claims that could not begin because the run is not running any more.
    GIVE_BACK = "
        UPDATE deliveries SET lease_owner = NULL, lease_until = v.value ->> 4
        FROM json_each(?1) v
        WHERE deliveries.id = v.value ->> 0 AND attempt = v.value ->> 1
          AND state IN ('pending', 'sending') AND lease_owner = ?2";
    KEEP_ATTEMPTS_64 = keep_attempts!(x8!(x8!("(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")));
    KEEP_ATTEMPTS_8 = keep_attempts!(x8!("(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
    KEEP_ATTEMPTS_1 = keep_attempts!("(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    RECORD_64 = record!(x8!(x8!("(?,?,?,?,?,?,?,?,?,?,?,?)")));
    RECORD_8 = record!(x8!("(?,?,?,?,?,?,?,?,?,?,?,?)"));
    RECORD_1 = record!("(?,?,?,?,?,?,?,?,?,?,?,?)");
    /// What comes back from the wire to a run that was cancelled meanwhile is not tried again.
    END_IN_CANCELLED = "
        UPDATE deliveries
        SET state = CASE state WHEN 'pending' THEN 'cancelled' ELSE 'uncertain' END,
            detail = CASE state WHEN 'sending'
                THEN COALESCE(detail, 'the run was cancelled before an answer came')
                ELSE detail END,
            hold = NULL, lease_until = NULL
        WHERE id IN (SELECT value FROM json_each(?)) AND state IN ('pending', 'sending')
          AND lease_owner IS NULL
          AND EXISTS (SELECT 1 FROM runs r
            WHERE r.id = deliveries.run_id AND r.state = 'cancelled')";
    /// Attempts without an answer that [`END_IN_CANCELLED`] is about to give up.
    UNANSWERED_AMONG = "
        SELECT d.id, d.attempt, d.revision, d.begun_at
        FROM json_each(?) j
        JOIN deliveries d ON d.id = j.value AND d.state = 'sending' AND d.lease_owner IS NULL
        JOIN runs r ON r.id = d.run_id AND r.state = 'cancelled'";
    /// A person stays with the line that wrote first.
    KEEP_CHATS_64 = keep_chats!(x8!(x8!("(?,?,?,?)")));
    KEEP_CHATS_8 = keep_chats!(x8!("(?,?,?,?)"));
    KEEP_CHATS_1 = keep_chats!("(?,?,?,?)");
    /// Ends the doubt about an attempt without an answer.
    SETTLE = "
        UPDATE deliveries
        SET state = ?4, message_id = ?5, chat_id = ?6, detail = ?7, code = NULL,
            sent_at = CASE ?4 WHEN 'sent' THEN begun_at END,
            unanswered_at = CASE ?4 WHEN 'uncertain' THEN unanswered_at END,
            due_at = COALESCE(?8, due_at), tries = COALESCE(?9, tries),
            hold = CASE WHEN ?8 IS NOT NULL THEN 'retry' END,
            lease_owner = NULL, lease_until = NULL
        WHERE id = ?1 AND attempt = ?2 AND state = 'sending' AND lease_owner = ?3
        RETURNING run_id";
    EXTEND_GATE = "
        INSERT INTO gates (gateway, line, recipient, asked_at, until_at, inactive_at, reason)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (gateway, recipient, line) DO UPDATE
        SET asked_at = excluded.asked_at, until_at = MAX(excluded.until_at, gates.until_at),
            inactive_at = COALESCE(gates.inactive_at, excluded.inactive_at),
            reason = CASE excluded.reason WHEN '' THEN gates.reason ELSE excluded.reason END
        WHERE excluded.until_at > gates.until_at
           OR gates.inactive_at IS NULL AND excluded.inactive_at IS NOT NULL";
    TAKE_LOOK = "
        UPDATE gates SET asked_at = ?3, until_at = MAX(until_at, ?4)
        WHERE gateway = ?1 AND recipient = '' AND inactive_at IS NOT NULL AND until_at <= ?2
        RETURNING line";
    /// Deliveries that wait for a line to take part in messaging, in every run of a gateway.
    HELD_FOR_LINE = "
        SELECT d.id, d.run_id, d.attempt FROM deliveries d
        WHERE d.run_id IN (SELECT id FROM runs WHERE gateway = ?1) AND d.line = ?2
          AND d.touch IN (0, 1, 2) AND d.state = 'pending' AND d.due_at > ?3
          AND d.hold = 'line_inactive'
        ORDER BY d.id";
    LINE_IS_BACK = "
        DELETE FROM gates
        WHERE gateway = ? AND recipient = '' AND line = ? AND inactive_at IS NOT NULL";
    FORGET_GATES = "DELETE FROM gates WHERE until_at < ? AND inactive_at IS NULL";
    /// What is without an answer may be asked for again at once.
    RELEASE_AS_IT_WAS = "
        UPDATE OR FAIL deliveries
        SET lease_owner = NULL, lease_until = CASE state WHEN 'sending' THEN begun_at END
        FROM json_each(?2) v
        WHERE deliveries.id = v.value ->> 0 AND attempt = v.value ->> 1
          AND state IN ('pending', 'sending') AND lease_owner = ?1
        RETURNING deliveries.id";
    /// Still without an answer: to be looked at again at that time.
    RELEASE_DOUBT = "
        UPDATE OR FAIL deliveries SET lease_owner = NULL, lease_until = v.value ->> 2
        FROM json_each(?2) v
        WHERE deliveries.id = v.value ->> 0 AND attempt = v.value ->> 1
          AND state = 'sending' AND lease_owner = ?1
        RETURNING deliveries.id";
    RELEASE = "
        UPDATE OR FAIL deliveries
        SET state = v.value ->> 1, due_at = COALESCE(v.value ->> 2, due_at),
            hold = v.value ->> 3, tries = COALESCE(v.value ->> 4, tries),
            code = v.value ->> 5, detail = v.value ->> 6, revision = revision + (v.value ->> 7),
            fixed = CASE WHEN v.value ->> 7 THEN NULL ELSE fixed END,
            fixed_sum = CASE WHEN v.value ->> 7 THEN NULL ELSE fixed_sum END,
            lease_owner = NULL, lease_until = NULL
        FROM json_each(?2) v
        WHERE deliveries.id = v.value ->> 0 AND attempt = v.value ->> 8
          AND state = 'pending' AND lease_owner = ?1
        RETURNING deliveries.id, run_id";

    // Files
    MEDIA = "SELECT filename, content_type, bytes FROM media WHERE sha256 = ?";
    UPLOAD = "SELECT attachment_id FROM uploads WHERE gateway = ? AND sha256 = ?";
    KEEP_UPLOAD = "
        INSERT INTO uploads (gateway, sha256, attachment_id, uploaded_at) VALUES (?, ?, ?, ?)
        ON CONFLICT (gateway, sha256) DO UPDATE
        SET attachment_id = excluded.attachment_id, uploaded_at = excluded.uploaded_at";
    FORGET_UPLOADS = "
        DELETE FROM uploads
        WHERE gateway = ? AND attachment_id IN (SELECT value FROM json_each(?))";

    // Contacts
    CONTACT = "SELECT contact_id FROM contacts WHERE gateway = ? AND phone = ?";
    KEEP_CONTACT = "
        INSERT INTO contacts (gateway, phone, contact_id) VALUES (?, ?, ?)
        ON CONFLICT (gateway, phone) DO UPDATE SET contact_id = excluded.contact_id";
    FORGET_CONTACT = "DELETE FROM contacts WHERE gateway = ? AND contact_id = ?";
    WHOSE_CONTACT = "
        SELECT phone FROM contacts WHERE gateway = ? AND contact_id = ? ORDER BY phone";

    // Schedules
    FIRST_SEEN = "
        INSERT INTO schedules (campaign, since_at) VALUES (?, ?) ON CONFLICT DO NOTHING";
    SCHEDULE_SINCE = "SELECT since_at FROM schedules WHERE campaign = ?";
    MOVE_SCHEDULE = "
        INSERT INTO schedules (campaign, since_at) VALUES (?, ?)
        ON CONFLICT (campaign) DO UPDATE SET since_at = MAX(since_at, excluded.since_at)";
    KEEP_MISSED = "
        INSERT INTO missed (run, due_at, reason) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    MISSED = "
        SELECT run, due_at, reason FROM missed
        -- 'A' is the character after '@'; LIKE would take '_' in a name for any character
        WHERE run > ?1 || '@' AND run < ?1 || 'A'
        ORDER BY due_at DESC, run LIMIT ?2";

    // The place
    PLACE = "SELECT token, mark, marked_at FROM places ORDER BY place DESC LIMIT 1";
    NEW_PLACE = "
        INSERT INTO places (token, taken_at, mark, marked_at)
        VALUES (lower(hex(randomblob(16))), ?, ?, ?)
        RETURNING token, mark, marked_at";
    /// What was begun by a clock that has been set back meanwhile is not the newest.
    RAISE_MARK = "
        UPDATE places SET mark = mark + 1,
            marked_at = CASE WHEN ABS(?1 - COALESCE(back_from, 0)) < 60000 THEN marked_at
                ELSE MAX(COALESCE(marked_at, ?1), ?1) END
        WHERE place = (SELECT MAX(place) FROM places)
        RETURNING mark, marked_at";

    // The clock
    NEWEST_MARK = "SELECT MAX(marked_at) FROM places";
    SET_BACK_MARK = "
        UPDATE places SET marked_at = ?1, back_from = ?2 WHERE marked_at > ?1";
    SET_BACK_GATES = "
        UPDATE gates SET until_at = MAX(?1, until_at - (?2 - ?1)), asked_at = ?1,
            inactive_at = MIN(inactive_at, ?1)
        WHERE asked_at > ?1";
    /// Those that stand where the clock stood, not where it is.
    SET_BACK_PACE = "
        UPDATE pace SET tat_us = tat_us - (?2 - ?1) * 1000
        WHERE tat_us > (?1 + (?2 - ?1) / 2) * 1000 AND subject <> 'account day'";
    /// The gap of a line is never longer for it; which day has had how many stays so.
    SET_BACK_CAPS = "
        UPDATE caps SET last_at = ?1, until_at = NULL WHERE last_at > ?1 AND ?2 > ?1";
    SET_BACK_LEASES = "
        UPDATE deliveries SET lease_until = MAX(?1, lease_until - (?2 - ?1))
        WHERE run_id IN (SELECT id FROM runs) AND state = 'pending' AND lease_until > ?1";
    /// With the age of their keys, which must never seem younger than it is.
    SET_BACK_SENDING = "
        UPDATE deliveries
        SET aged_ms = aged_ms + (?2 - ?1),
            lease_until = CASE WHEN lease_until > ?1 AND begun_at > ?1
                THEN MAX(?1, lease_until - (?2 - ?1)) ELSE lease_until END
        WHERE run_id IN (SELECT id FROM runs) AND state = 'sending'";
    /// Waits that were reckoned from the clock, with the end of the attempt before. The next
    /// window and a start that is still to come are times of the day.
    WAITING_BY_THE_CLOCK = "
        SELECT d.run_id, d.id, d.attempt, d.due_at, d.hold, a.ended_at
        FROM deliveries d
        LEFT JOIN attempts a ON a.delivery_id = d.id AND a.attempt = d.attempt
        WHERE d.run_id IN (SELECT id FROM runs) AND d.line IN (SELECT line FROM run_lines)
          AND d.touch IN (0, 1, 2) AND d.state = 'pending' AND d.due_at > ?1
          AND d.hold IN ('retry', 'throttled', 'line_capacity', 'line_inactive')
        ORDER BY d.run_id, d.id";
    /// A lease on it stays.
    SET_DUE = "
        UPDATE OR FAIL deliveries SET due_at = v.value ->> 1
        FROM json_each(?) v WHERE deliveries.id = v.value ->> 0 AND state = 'pending'";
    /// The expressions are those of the index.
    RECEIPTS_DUE = "
        SELECT id, message_id, chat_id, sent_at FROM deliveries
        WHERE run_id = ?1 AND COALESCE(look_at, sent_at + 10000) <= ?2
          AND (state = 'sent' OR state = 'delivered') AND message_id IS NOT NULL
        ORDER BY COALESCE(look_at, sent_at + 10000) LIMIT ?3";
    /// Whatever its time, but for those that are not looked at any more.
    NEXT_LOOK = "
        SELECT COALESCE(look_at, sent_at + 10000) FROM deliveries
        WHERE run_id = ?1 AND COALESCE(look_at, sent_at + 10000) < 9223372036854775807
          AND (state = 'sent' OR state = 'delivered') AND message_id IS NOT NULL
        ORDER BY COALESCE(look_at, sent_at + 10000) LIMIT 1";
    MOVE_LOOKS = "
        UPDATE OR FAIL deliveries SET look_at = v.value ->> 1
        FROM json_each(?) v WHERE deliveries.id = v.value ->> 0";
    KEEP_RECEIPT = "
        UPDATE deliveries
        SET state = ?4, delivered_at = COALESCE(delivered_at, ?5), read_at = ?6
        WHERE id = ?1 AND run_id = ?2 AND message_id = ?3
          AND state IN (SELECT value FROM json_each(?7))";
    FAIL_LATER = "
        UPDATE deliveries SET state = 'failed', code = ?4, detail = ?5
        WHERE id = ?1 AND run_id = ?2 AND message_id = ?3
          AND state IN (SELECT value FROM json_each(?6))
        RETURNING attempt";
}
