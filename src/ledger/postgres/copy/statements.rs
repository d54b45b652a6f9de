//! Every statement of a copy from or to a PostgreSQL database. Those of a table are made of the
//! catalogue.

use super::super::super::copy::Name;
use super::super::super::copy::catalogue::catalogue;

/// Placeholders of a key, and the one behind it.
macro_rules! marks {
    ($a:ident) => {
        "($1)"
    };
    ($a:ident $b:ident) => {
        "($1, $2)"
    };
    ($a:ident $b:ident $c:ident) => {
        "($1, $2, $3)"
    };
}
macro_rules! limit {
    ($a:ident) => {
        "$2"
    };
    ($a:ident $b:ident) => {
        "$3"
    };
    ($a:ident $b:ident $c:ident) => {
        "$4"
    };
}

/// The statements of one table.
#[derive(Debug)]
pub(super) struct TableSql {
    pub(super) page: &'static str,
    pub(super) last: &'static str,
    pub(super) copy_in: &'static str,
}

macro_rules! table_statements {
    ($($name:ident: $table:ident, $page:literal
        key [$k:ident: $kk:ident $(, $kn:ident: $knk:ident)*] both [$($b:ident: $bk:ident),*]
        sqlite [$($s:ident: $sk:ident = $sql:literal),*];)+) => {
        pub(super) fn of(name: Name) -> TableSql {
            match name {
                $(Name::$name => TableSql {
                    page: concat!(
                        "SELECT ", stringify!($k), $(", ", stringify!($kn),)*
                        $(", ", stringify!($b),)* $(", ", $sql,)*
                        " FROM ", stringify!($table),
                        " WHERE (", stringify!($k), $(", ", stringify!($kn),)*
                        ") > ", marks!($k $($kn)*),
                        " ORDER BY ", stringify!($k), $(", ", stringify!($kn),)*
                        " LIMIT ", limit!($k $($kn)*)),
                    last: concat!(
                        "SELECT ", stringify!($k), $(", ", stringify!($kn),)*
                        " FROM ", stringify!($table),
                        " ORDER BY ", stringify!($k), " DESC", $(", ", stringify!($kn), " DESC",)*
                        " LIMIT 1"),
                    copy_in: concat!(
                        "COPY ", stringify!($table), " (",
                        stringify!($k), $(", ", stringify!($kn),)* $(", ", stringify!($b),)*
                        ") FROM STDIN"),
                },)+
            }
        }
    };
}
catalogue!(table_statements);

/// Alone with the ledger: nothing changes in it till the transaction ends, and what changes then
/// sees what this one did. Not waited for long: who waits behind it waits, too.
pub(super) const PATIENCE: &str = "SELECT set_config('lock_timeout', '2s', TRUE)";
pub(super) const ALONE: &str = "SELECT pg_advisory_xact_lock(1936614504, 0)";

pub(super) const STANDING: &str = "SELECT way, store, token, at, finished_at FROM moves";
pub(super) const CLOSED: &str = "
    SELECT way, store, token, at, finished_at FROM moves
    WHERE way = 'to' OR finished_at IS NULL";
pub(super) const MARK: &str = "
    INSERT INTO moves (way, store, token, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
pub(super) const TAKE_BACK: &str = "DELETE FROM moves WHERE way = 'to'";
/// Only the end of this very move.
pub(super) const FINISH: &str = "
    UPDATE moves SET finished_at = $3 WHERE way = $1 AND token = $2 AND finished_at IS NULL";
/// Locks it: of two processes that copy, one waits for the other.
pub(super) const UNFINISHED: &str = "
    SELECT TRUE FROM moves WHERE way = 'from' AND token = $1 AND finished_at IS NULL FOR UPDATE";

pub(super) const LIVING: &str = "
    SELECT owner, COALESCE(worker, owner), enlisted_at FROM owners WHERE NOT gone AND alive_until > $1
    ORDER BY enlisted_at, owner";
pub(super) const ALL_GONE: &str = "UPDATE owners SET gone = TRUE WHERE NOT gone";
/// As when each had been given back; by the indexes of what is open.
pub(super) const END_LEASES: &str = "
    UPDATE deliveries
    SET lease_owner = NULL, lease_until = CASE WHEN state = 'sending' THEN begun_at END
    WHERE id IN (
        SELECT id FROM deliveries WHERE state = 'pending' AND lease_owner IS NOT NULL
        UNION ALL
        SELECT id FROM deliveries WHERE state = 'sending' AND lease_owner IS NOT NULL)";

pub(super) const EVENT_COUNTS: &str = "
    INSERT INTO event_counts (run_id, events)
    SELECT v.run_id, v.events FROM unnest($1::bigint[], $2::bigint[]) AS v (run_id, events)";
/// The next run is numbered after the highest, and its deliveries stand after all others; so are
/// the next answers, and what is said of people.
pub(super) const NUMBERS_GO_ON: &str = "
    SELECT setval(pg_get_serial_sequence('runs', 'id'), GREATEST((SELECT MAX(id) FROM runs),
            (SELECT MAX(id) FROM deliveries) >> 30, 1), EXISTS (SELECT 1 FROM runs)),
        setval(pg_get_serial_sequence('suppression_events', 'id'),
            GREATEST((SELECT MAX(id) FROM suppression_events), 1),
            EXISTS (SELECT 1 FROM suppression_events)),
        setval(pg_get_serial_sequence('replies', 'id'), GREATEST((SELECT MAX(id) FROM replies), 1),
            EXISTS (SELECT 1 FROM replies))";
pub(super) const TRACES: &str = "
    SELECT mark, marked_at FROM places ORDER BY place DESC LIMIT 1";
/// The places of the old store are not this one's; what was sent from there was sent.
pub(super) const PLACE_OF_COPY: &str = "
    INSERT INTO places (server, database, relation, mark, marked_at)
    VALUES ($1, $2, $3, $4, $5)";

/// Tables of the ledger, each with its indexes and what is stored beside it.
pub(super) const SIZES: &str = "
    SELECT c.relname::text, pg_total_relation_size(c.oid)::bigint FROM pg_class c
    WHERE c.relkind = 'r' AND c.relname = ANY($1::text[])
      AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'deliveries'::regclass)
    ORDER BY 2 DESC, 1";
pub(super) const RUNS_BY_STATE: &str = "
    SELECT state, COUNT(*), COALESCE(SUM(total), 0)::bigint FROM runs GROUP BY state ORDER BY state";

/// All of them but `COPY`, which no server prepares.
#[cfg(test)]
pub(in super::super) fn all() -> Vec<&'static str> {
    let mut all = vec![
        PATIENCE,
        ALONE,
        STANDING,
        CLOSED,
        MARK,
        TAKE_BACK,
        FINISH,
        UNFINISHED,
        LIVING,
        ALL_GONE,
        END_LEASES,
        EVENT_COUNTS,
        NUMBERS_GO_ON,
        TRACES,
        PLACE_OF_COPY,
        SIZES,
        RUNS_BY_STATE,
        super::super::super::copy::catalogue::HOLDS_ANYTHING,
    ];
    for name in Name::ALL {
        let sql = of(*name);
        all.extend([sql.page, sql.last]);
    }
    all
}
