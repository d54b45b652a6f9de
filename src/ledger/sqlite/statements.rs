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
        }
    };
}

macro_rules! message_rows {
    ($rows:expr) => {
        concat!(
            "INSERT INTO messages (id, run_id, row, recipient_key, phone, timezone, content, \
             addressed) VALUES ",
            $rows,
            " ON CONFLICT DO NOTHING"
        )
    };
}

macro_rules! delivery_rows {
    ($rows:expr) => {
        concat!(
            "INSERT INTO deliveries (id, run_id, line, state, reason, detail, due_at) VALUES ",
            $rows
        )
    };
}

statements! {
    // Freezing
    RUN_EXISTS = "SELECT 1 FROM runs WHERE run = ?";
    NEXT_DELIVERY = "SELECT COALESCE(MAX(id), 0) + 1 FROM deliveries";
    INSERT_RUN = "
        INSERT INTO runs (run, campaign, occurrence, gateway, state, terms, files, first_delivery,
            total, created_at, starts_at)
        VALUES (?, ?, ?, ?, 'running', ?, '[]', ?, 0, ?, ?)
        RETURNING id";
    SEAL_RUN = "UPDATE runs SET total = ?, files = ? WHERE id = ?";
    INSERT_RUN_LINE = "INSERT INTO run_lines (run_id, line) VALUES (?, ?)";
    INSERT_MESSAGES_64 = message_rows!(x8!(x8!("(?,?,?,?,?,?,?,?)")));
    INSERT_MESSAGE = message_rows!("(?,?,?,?,?,?,?,?)");
    INSERT_DELIVERIES_64 = delivery_rows!(x8!(x8!("(?,?,?,?,?,?,?)")));
    INSERT_DELIVERY = delivery_rows!("(?,?,?,?,?,?,?)");
    MESSAGES_BETWEEN = "SELECT id FROM messages WHERE id BETWEEN ? AND ?";
    FIRST_ROW_OF = "
        SELECT row FROM messages
        WHERE run_id = ?1 AND step = 0 AND addressed = 1
          AND (phone = ?2 OR recipient_key = ?3)
        ORDER BY row LIMIT 1";
    KNOWN_CHATS = "
        SELECT phone, chat_id, line FROM chats
        WHERE gateway = ? AND phone IN (SELECT value FROM json_each(?))";
    INSERT_MEDIA = "
        INSERT INTO media (sha256, filename, content_type, bytes) VALUES (?, ?, ?, ?)
        ON CONFLICT DO NOTHING";

    // Runs
    RUN = "SELECT * FROM runs WHERE run = ?";
    RUNS = "SELECT * FROM runs ORDER BY id DESC";
    REHEARSALS = "
        SELECT occurrence FROM runs WHERE campaign = ? AND occurrence LIKE 'rehearsal-%'";
    SET_STATE = "
        UPDATE runs
        SET state = ?1, reason = ?2,
            finished_at = CASE WHEN ?1 IN ('finished', 'cancelled') THEN ?3 END
        WHERE id = ?4";
    CANCEL_PENDING = "
        UPDATE deliveries
        SET state = 'cancelled', hold = NULL, lease_owner = NULL, lease_until = NULL
        WHERE run_id = ? AND state = 'pending'";
    FINISH = "
        UPDATE runs SET state = 'finished', finished_at = ?2
        WHERE id = ?1 AND state = 'running'
          AND NOT EXISTS (SELECT 1 FROM deliveries WHERE run_id = ?1 AND state = 'sending')
          AND NOT EXISTS (SELECT 1 FROM deliveries WHERE run_id = ?1 AND state = 'pending')";
    COUNTS = "
        SELECT state, COUNT(*) FROM deliveries WHERE id BETWEEN ? AND ? GROUP BY state";
    FACTS = "
        SELECT state, reason, hold, code,
            CASE WHEN state IN ('failed', 'uncertain') THEN detail END AS text,
            COUNT(*) AS n, MIN(due_at) AS due_at, MIN(sent_at) AS first_sent_at,
            MAX(sent_at) AS last_sent_at
        FROM deliveries WHERE id BETWEEN ? AND ?
        GROUP BY 1, 2, 3, 4, 5";
    OPEN_GATES = "
        SELECT line, until_at, reason FROM gates WHERE gateway = ? AND until_at > ?
        ORDER BY line";
    DELIVERIES = "
        SELECT d.*, m.row, m.step, m.recipient_key, m.phone
        FROM deliveries d JOIN messages m ON m.id = d.id
        WHERE d.id > ? AND d.id <= ? ORDER BY d.id LIMIT ?";

    // Owners
    ENLIST = "INSERT INTO owners (owner, enlisted_at) VALUES (?, ?)";
    LIVE_OWNERS = "SELECT owner FROM owners WHERE gone = 0";
    GONE = "UPDATE owners SET gone = 1 WHERE owner = ?";
    FORGET_OWNERS = "DELETE FROM owners WHERE gone = 1 AND enlisted_at < ?";

    // Claiming
    RUN_STATE = "SELECT state FROM runs WHERE id = ?";
    RUN_LINES = "SELECT line FROM run_lines WHERE run_id = ? ORDER BY line";
    /// Attempts without an outcome whose lease is over.
    UNANSWERED = "
        SELECT id, line FROM deliveries
        WHERE run_id = ?1 AND state = 'sending'
          AND (lease_until <= ?2 OR lease_owner IN (SELECT owner FROM owners WHERE gone = 1))
        ORDER BY id LIMIT ?3";
    DUE = "
        SELECT id, due_at FROM deliveries
        WHERE run_id = ?1 AND line = ?2 AND state = 'pending' AND due_at <= ?3
          AND (lease_until IS NULL OR lease_until <= ?3
            OR lease_owner IN (SELECT owner FROM owners WHERE gone = 1))
        ORDER BY due_at, id LIMIT ?4";
    /// The one delivery to a person, if it may be claimed; and when it is open, its due time.
    ONLY = "
        SELECT d.id, d.state, d.due_at, d.lease_until,
            d.lease_owner IN (SELECT owner FROM owners WHERE gone = 1) AS orphaned
        FROM messages m JOIN deliveries d ON d.id = m.id
        WHERE m.run_id = ? AND m.step = 0 AND m.phone = ? AND m.addressed = 1
          AND d.state IN ('pending', 'sending')";
    CANDIDATES = "
        SELECT d.id, d.line, d.state, d.attempt, d.tries, d.revision, d.first_attempt_at, d.fixed,
            d.begun_at, m.row, m.recipient_key, m.phone, m.timezone, m.content,
            c.chat_id, c.line AS chat_line
        FROM json_each(?1) j
        JOIN deliveries d ON d.id = j.value
        JOIN messages m ON m.id = d.id
        LEFT JOIN chats c ON c.gateway = ?2 AND c.phone = m.phone
        ORDER BY j.key";
    LEASE = "
        UPDATE deliveries SET lease_owner = ?1, lease_until = ?2
        WHERE id IN (SELECT value FROM json_each(?3))";
    HOLD_BACK = "
        UPDATE deliveries SET due_at = v.value ->> 1, hold = v.value ->> 2,
            lease_owner = NULL, lease_until = NULL
        FROM json_each(?) v WHERE deliveries.id = v.value ->> 0 AND state = 'pending'";
    SKIP = "
        UPDATE deliveries SET state = 'skipped', reason = v.value ->> 1, hold = NULL,
            lease_owner = NULL, lease_until = NULL
        FROM json_each(?) v WHERE deliveries.id = v.value ->> 0 AND state = 'pending'";
    NEXT_DUE = "
        SELECT MIN(due_at) FROM deliveries WHERE run_id = ? AND line = ? AND state = 'pending'";
    NEXT_LEASE_END = "
        SELECT MIN(lease_until) FROM deliveries WHERE run_id = ? AND state = 'sending'";
    ARRIVALS = "SELECT subject, tat_us FROM pace WHERE gateway = ?";
    SET_ARRIVAL = "
        INSERT INTO pace (gateway, subject, tat_us) VALUES (?, ?, ?)
        ON CONFLICT (gateway, subject) DO UPDATE SET tat_us = MAX(tat_us, excluded.tat_us)";

    // The writer
    /// An earlier attempt whose process ended before its outcome was recorded.
    KEEP_LOST_ATTEMPTS = "
        INSERT INTO attempts (delivery_id, attempt, begun_at, outcome)
        SELECT id, attempt, begun_at, 'lost' FROM deliveries
        WHERE state = 'sending' AND id IN (SELECT value ->> 0 FROM json_each(?))
        ON CONFLICT DO NOTHING";
    BEGIN = "
        UPDATE deliveries
        SET state = 'sending', attempt = attempt + 1, revision = v.value ->> 2,
            fixed = v.value ->> 3, begun_at = v.value ->> 4, lease_until = v.value ->> 5,
            lease_owner = ?2, hold = NULL,
            first_attempt_at = COALESCE(first_attempt_at, v.value ->> 4)
        FROM json_each(?1) v
        WHERE deliveries.id = v.value ->> 0 AND attempt = v.value ->> 1
          AND state IN ('pending', 'sending')
        RETURNING deliveries.id";
    KEEP_ATTEMPTS = "
        INSERT INTO attempts (delivery_id, attempt, begun_at, ended_at, outcome, late, code, http,
            text, trace_id)
        SELECT v.value ->> 0, v.value ->> 1, v.value ->> 2, v.value ->> 3, v.value ->> 4,
            NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = v.value ->> 0
                AND d.attempt = v.value ->> 1 AND d.state = 'sending'),
            v.value ->> 5, v.value ->> 6, v.value ->> 7, v.value ->> 8
        FROM json_each(?) v WHERE TRUE
        ON CONFLICT (delivery_id, attempt) DO UPDATE
        SET ended_at = excluded.ended_at, outcome = excluded.outcome, late = 1,
            code = excluded.code, http = excluded.http, text = excluded.text,
            trace_id = excluded.trace_id";
    RECORD = "
        UPDATE deliveries
        SET state = v.value ->> 2, due_at = COALESCE(v.value ->> 3, due_at), hold = v.value ->> 4,
            tries = COALESCE(v.value ->> 5, tries), revision = revision + (v.value ->> 6),
            fixed = CASE WHEN v.value ->> 6 THEN NULL ELSE fixed END,
            code = v.value ->> 7, detail = v.value ->> 8, message_id = v.value ->> 9,
            chat_id = v.value ->> 10, sent_at = v.value ->> 11,
            lease_owner = NULL,
            -- still without an answer: to be asked again at that time
            lease_until = CASE WHEN v.value ->> 2 = 'sending' THEN v.value ->> 3 END
        FROM json_each(?) v
        WHERE deliveries.id = v.value ->> 0 AND attempt = v.value ->> 1 AND state = 'sending'
        RETURNING deliveries.id";
    /// A person stays with the line that wrote first.
    KEEP_CHATS = "
        INSERT INTO chats (gateway, phone, chat_id, line)
        SELECT v.value ->> 0, v.value ->> 1, v.value ->> 2, v.value ->> 3
        FROM json_each(?) v WHERE TRUE
        ON CONFLICT (gateway, phone) DO UPDATE SET chat_id = excluded.chat_id";
    EXTEND_GATE = "
        INSERT INTO gates (gateway, line, until_at, reason) VALUES (?, ?, ?, ?)
        ON CONFLICT (gateway, line) DO UPDATE
        SET until_at = excluded.until_at, reason = excluded.reason
        WHERE excluded.until_at > gates.until_at";
    RELEASE = "
        UPDATE deliveries
        SET state = v.value ->> 1, due_at = COALESCE(v.value ->> 2, due_at),
            hold = v.value ->> 3, tries = COALESCE(v.value ->> 4, tries),
            code = v.value ->> 5, detail = v.value ->> 6,
            lease_owner = NULL, lease_until = NULL
        FROM json_each(?2) v
        WHERE deliveries.id = v.value ->> 0 AND state = 'pending' AND lease_owner = ?1
        RETURNING deliveries.id";

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
        SELECT run, due_at, reason FROM missed WHERE run LIKE ? || '@%'
        ORDER BY due_at DESC LIMIT ?";
}
