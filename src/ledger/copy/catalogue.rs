//! What a copy takes along: each table, its key and its columns, said once for both databases.
//! A test compares it with the real schemas, so that no column is forgotten. The statements that
//! are made of it are each database's.

/// Hands the tables to a macro: name, how many rows make a page, the columns of its key (at the
/// front, in the order of the key), those that both databases have, and those that only SQLite's
/// table has, with what stands for them in a query of PostgreSQL.
///
/// Tables that others point to come first.
macro_rules! catalogue {
    ($make:ident) => {
        $make! {
            Runs: runs, 200
                key [id: Integer]
                both [run: Text, campaign: Text, occurrence: Text, gateway: Text, state: Text,
                    reason: Text, terms: Text, files: Text, first_delivery: Integer,
                    total: Integer, created_at: Integer, starts_at: Integer,
                    finished_at: Integer, list_sum: Integer, sum: Integer]
                sqlite [events: Integer = "COALESCE((SELECT c.events FROM event_counts c \
WHERE c.run_id = runs.id), 0)"];
            RunLines: run_lines, 2000
                key [run_id: Integer, line: Text] both [] sqlite [];
            Messages: messages, 2000
                key [id: Integer]
                both [run_id: Integer, step: Integer, row: Integer, recipient_key: Text,
                    phone: Text, timezone: Text, content: Text, addressed: Flag, sum: Integer]
                sqlite [];
            Deliveries: deliveries, 4000
                key [id: Integer]
                both [run_id: Integer, line: Text, state: Text, reason: Text, detail: Text,
                    hold: Text, due_at: Integer, touch: Integer, lease_owner: Text,
                    lease_until: Integer, attempt: Integer, tries: Integer, revision: Integer,
                    fixed: Text, fixed_sum: Integer, first_attempt_at: Integer, begun_at: Integer,
                    unanswered_at: Integer, aged_ms: OrZero, code: Integer, message_id: Text,
                    chat_id: Text, sent_at: Integer, delivered_at: Integer, read_at: Integer,
                    look_at: Integer]
                sqlite [];
            Attempts: attempts, 4000
                key [delivery_id: Integer, attempt: Integer]
                both [revision: Integer, begun_at: Integer, ended_at: Integer, outcome: Text,
                    late: Flag, code: Integer, http: Integer, text: Text, trace_id: Text,
                    state: Text, due_at: Integer, hold: Text, tries: Integer, anew: Flag,
                    message_id: Text, chat_id: Text, sum: Integer]
                sqlite [];
            Events: events, 4000
                key [run_id: Integer, seq: Integer]
                both [delivery_id: Integer, attempt: Integer, at: Integer, what: Text,
                    sum: Integer]
                sqlite [];
            Media: media, 1
                key [sha256: Text]
                both [filename: Text, content_type: Text, bytes: Bytes, sum: Integer]
                sqlite [];
            Uploads: uploads, 2000
                key [gateway: Text, sha256: Text]
                both [attachment_id: Text, uploaded_at: Integer]
                sqlite [];
            Chats: chats, 4000
                key [gateway: Text, phone: Text] both [chat_id: Text, line: Text] sqlite [];
            Contacts: contacts, 4000
                key [gateway: Text, phone: Text] both [contact_id: Text] sqlite [];
            Readings: readings, 2000
                key [gateway: Text] both [read_to: Integer] sqlite [];
            Accounts: accounts, 2000
                key [gateway: Text] both [account: Text] sqlite [];
            Gates: gates, 2000
                key [gateway: Text, recipient: Text, line: Text]
                both [until_at: Integer, reason: Text, inactive_at: Integer]
                sqlite [asked_at: Integer = "NULL::bigint"];
            Pace: pace, 2000
                key [gateway: Text, subject: Text] both [tat_us: Integer] sqlite [];
            Caps: caps, 2000
                key [gateway: Text, subject: Text]
                both [last_at: Integer, until_at: Integer] sqlite [];
            CapDays: cap_days, 2000
                key [gateway: Text, subject: Text, day: Integer]
                both [nth: Integer, taken: Integer] sqlite [];
            Suppressions: suppressions, 2000
                key [phone: Text, scope: Text, voice: Text]
                both [at: Integer, source: Text, reason: Text, run_id: Integer, event_id: Text,
                    lifted_at: Integer, lifted_by: Text, lift_reason: Text]
                sqlite [];
            SuppressionEvents: suppression_events, 4000
                key [id: Integer]
                both [phone: Text, scope: Text, what: Text, source: Text, reason: Text,
                    at: Integer, noted_at: Integer, run_id: Integer, event_id: Text]
                sqlite [];
            Replies: replies, 2000
                key [id: Integer]
                both [gateway: Text, event_id: Text, phone: Text, channel: Text, line: Text,
                    chat_id: Text, text: Text, at: Integer, received_at: Integer,
                    run_id: Integer, delivery_id: Integer, heard: Text, handled_at: Integer]
                sqlite [];
            Inbox: inbox, 100
                key [gateway: Text, event_id: Text]
                both [kind: Text, body: Text, received_at: Integer, due_at: Integer,
                    handled_at: Integer, note: Text]
                sqlite [];
            Schedules: schedules, 2000
                key [campaign: Text] both [since_at: Integer] sqlite [];
            Missed: missed, 2000
                key [run: Text] both [due_at: Integer, reason: Text] sqlite [];
        }
    };
}
pub(in super::super) use catalogue;

/// Tables that stay behind, and why.
#[cfg(test)]
const LEFT_OUT: [(&str, &str); 6] = [
    (
        "owners",
        "processes belong to one store; all are gone when it is closed",
    ),
    (
        "places",
        "where a store is at home; only how much was sent from it goes along",
    ),
    ("moves", "says what is copied where"),
    (
        "event_counts",
        "on PostgreSQL, the column `events` of `runs`",
    ),
    ("_sqlx_migrations", "each database's own"),
    ("sendoff_migrations", "each database's own"),
];

/// What a column holds. Any of them may be NULL; the table's own checks say where not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Integer,
    Text,
    /// 0 or 1; on PostgreSQL a boolean.
    Flag,
    /// A number that PostgreSQL leaves out where it is 0.
    OrZero,
    Bytes,
}

#[derive(Debug)]
pub(in super::super) struct Column {
    pub(in super::super) name: &'static str,
    pub(in super::super) kind: Kind,
}

/// A table as a copy goes through it.
#[derive(Debug)]
pub(in super::super) struct Table {
    pub(in super::super) name: &'static str,
    /// In the order of every row: the key, what both databases have, what SQLite alone has.
    pub(in super::super) columns: &'static [Column],
    /// Columns of the key; they stand in front.
    pub(in super::super) key: usize,
    /// Columns of PostgreSQL's table; they stand before the others.
    pub(in super::super) shared: usize,
    /// Rows in memory, and in one transaction.
    pub(in super::super) page: u32,
}

macro_rules! tables {
    ($($name:ident: $table:ident, $page:literal
        key [$($k:ident: $kk:ident),+] both [$($b:ident: $bk:ident),*]
        sqlite [$($s:ident: $sk:ident = $sql:literal),*];)+) => {
        /// A table of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in super::super) enum Name { $($name),+ }

        impl Name {
            /// In the order of the copy.
            pub(in super::super) const ALL: &[Self] = &[$(Self::$name),+];

            pub(in super::super) fn table(self) -> &'static Table {
                match self {
                    $(Self::$name => {
                        const KEY: &[&str] = &[$(stringify!($k)),+];
                        const BOTH: &[&str] = &[$(stringify!($b)),*];
                        const TABLE: Table = Table {
                            name: stringify!($table),
                            columns: &[
                                $(Column { name: stringify!($k), kind: Kind::$kk },)+
                                $(Column { name: stringify!($b), kind: Kind::$bk },)*
                                $(Column { name: stringify!($s), kind: Kind::$sk },)*
                            ],
                            key: KEY.len(),
                            shared: KEY.len() + BOTH.len(),
                            page: $page,
                        };
                        &TABLE
                    })+
                }
            }
        }

        /// Whether anything is in the ledger; good on both databases.
        pub(in super::super) const HOLDS_ANYTHING: &str = concat!(
            "SELECT ", $("EXISTS (SELECT 1 FROM ", stringify!($table), ") OR ",)+ "FALSE");
    };
}
catalogue!(tables);

#[cfg(test)]
mod tests;
