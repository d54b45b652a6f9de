//! A ledger in which everything is that there can be arrives as it was, said by the database
//! itself and not by the copy's own proof.

use std::path::Path;

use sendoff::domain::cap::Cap;
use sendoff::domain::digest::Digest;
use sendoff::domain::run::RunState;
use sendoff::ledger::{
    Admission, Begin, Claim, ClaimRequest, Ledger, Limits, Missed, Write, Written,
};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::super::bench::{
    Bench, LINE_A, at, begin_of, chat, freeze, gate, limit, new_run, owner, record_of, rows,
    run_id, sent,
};
use super::super::cluster::PostgresDatabase;
use super::super::proving::{eventful, findings};
use super::super::store::SqliteFile;
use super::{Kind, connect, moved, open};

/// An attempt that the cap of its line counts.
async fn begin_first_touch(bench: &Bench, claim: &Claim) {
    let caps = Limits {
        first_touch: Some(Cap::first_touch()),
        ..Limits::default()
    };
    let begin = Write::Begin(Box::new(Begin {
        under: caps.under(&bench.run, LINE_A, claim.touch()),
        ..begin_of(claim, 100)
    }));
    assert_eq!(bench.write_as(&bench.me, begin).await, Written::Done);
}

/// A SQLite ledger in which everything is that there can be.
async fn full() -> (SqliteFile, Bench) {
    let store = SqliteFile::default();
    let bench = eventful(&store).await;
    let ledger = &bench.ledger;
    for (run, state) in [
        ("paused@once", Some(RunState::Paused)),
        ("halted@once", Some(RunState::Halted)),
        ("cancelled@once", Some(RunState::Cancelled)),
        ("running@rehearsal-1", None),
    ] {
        let list = rows(21..=24, LINE_A);
        freeze(&**ledger, &new_run(run), list).await;
        if let Some(state) = state {
            let reason = Some("so\tsays \\ the\nrecord");
            let run = run_id(run);
            let set = ledger.set_state(&run, state, reason, at(9)).await;
            set.unwrap();
        }
    }
    let done = Bench {
        ledger: bench.ledger.clone(),
        run: freeze(&**ledger, &new_run("done@once"), rows(31..=31, LINE_A)).await,
        me: owner("other"),
    };
    ledger.enlist(&done.me, at(0)).await.unwrap();
    let claims = done
        .ledger
        .claim(
            &ClaimRequest {
                limits: Limits {
                    account: limit("10/s", 2).into(),
                    run: Some(limit("5/s", 1)),
                    line: Some(limit("5/s", 1)),
                    ..Limits::default()
                },
                ..done.ask(&done.me, 100, 1)
            },
            &|_| Admission::Now,
        )
        .await
        .unwrap()
        .claims;
    begin_first_touch(&done, &claims[0]).await;
    let mut record = record_of(&claims[0], 100, sent());
    record.chat = Some(chat(31, "chat-31", LINE_A));
    record.gate = Some(gate(Some(LINE_A), 900_000));
    assert_eq!(done.record(record).await, Written::Done);
    assert!(ledger.finish_if_done(&done.run.run, at(200)).await.unwrap());
    let picture = Digest::of(b"a picture");
    ledger
        .keep_upload("chert", picture, "att-7", at(7))
        .await
        .unwrap();
    ledger.schedule_since("spring", at(1)).await.unwrap();
    let missed = Missed {
        run: run_id("spring@2026-11-20"),
        due_at: at(5),
        reason: "it was off".to_owned(),
    };
    ledger.handled("spring", at(6), &[missed]).await.unwrap();
    ledger.retire(&bench.me).await.unwrap();
    ledger.retire(&done.me).await.unwrap();
    alter(&mut store.connect().await).await;
    (store, bench)
}

/// What comes about in other ways, and values that are hard to carry.
async fn alter(connection: &mut SqliteConnection) {
    for statement in [
        "INSERT INTO accounts VALUES ('chert', 'acme')",
        "INSERT INTO gates VALUES ('chert', '', '+12005550105', 3, 800000, NULL, 'wait'),
             ('chert', '+12005550106', '', 4, 900000, 5, 'switched off')",
        "UPDATE deliveries SET aged_ms = 3600000 WHERE state = 'pending' AND id % 2 = 0",
        "UPDATE messages SET timezone = 'a' || char(9, 10, 13, 92) || 'N\\N' || char(8364)
         WHERE id = 3",
        "UPDATE media SET bytes = x'00090a0d5c27ff'",
        "UPDATE deliveries SET state = 'delivered', delivered_at = sent_at + 1
         WHERE run_id = 6",
        "UPDATE deliveries SET detail = '' WHERE id = 2",
        "INSERT INTO caps VALUES ('chert', 'line +12005550105', 7000, NULL),
             ('chert', 'campaign spring', 7000, 86400000)",
        "INSERT INTO cap_days VALUES ('chert', 'line +12005550105', 0, 0, 30)",
        "INSERT INTO suppressions VALUES
             ('+12025550107', '', 'person', 7000, 'reply', 'said STOP', 1, 'e1', NULL, NULL, NULL),
             ('+12025550108', '', 'operator', 7000, 'import', '', NULL, NULL, 8000, 'operator', 'x')",
        "INSERT INTO suppression_events VALUES
             (9, '+12025550107', '', 'suppressed', 'reply', 'said STOP', 7000, 7001, 1, 'e1')",
        "INSERT INTO replies VALUES
             (5, 'chert', 'e1', '+12025550107', '', '+12005550105', 'c1', 'STOP', 7000, 7001, 1, 1,
              'stop', 7001),
             (8, 'chert', 'e2', '+12025550108', 'sms', '', NULL, 'leave me ' || char(8364), 7000, 7001,
              NULL, NULL, 'review', NULL)",
        "INSERT INTO contacts VALUES ('whatsapp', '+12025550109', 'cnt_9')",
        "INSERT INTO readings VALUES ('whatsapp', 7000)",
        "INSERT INTO inbox VALUES
             ('whatsapp', 'evt_1', 'message.read', '{\"id\":\"evt_1\"}', 7000, 7000, 7001, 'done'),
             ('whatsapp', 'evt_2', 'message.received', '{\"a\":\"' || char(8364) || '\"}', 7000,
              9000, NULL, NULL)",
    ] {
        let done = sqlx::query(statement).execute(&mut *connection).await;
        done.unwrap();
    }
}

/// What is in one file and not in the other, table by table, said by the database itself.
async fn differences(one: &Path, two: &Path) -> Vec<String> {
    let mut connection = connect(one).await;
    sqlx::query("ATTACH ? AS other")
        .bind(two.to_str().unwrap())
        .execute(&mut connection)
        .await
        .unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
         AND name NOT IN ('owners', 'places', 'moves', '_sqlx_migrations') ORDER BY name",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(tables.len(), 22, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        // When a wait was asked for is not known on PostgreSQL.
        let columns = match table.as_str() {
            "gates" => "gateway, line, recipient, until_at, reason",
            _ => "*",
        };
        let mut count = async |from: &str| -> i64 {
            let text = AssertSqlSafe(format!("SELECT COUNT(*) FROM {from}"));
            sqlx::query_scalar(text)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        };
        let rows = count(&format!("main.{table}")).await;
        assert!(rows > 0, "{table} is empty, so nothing is shown");
        let others = count(&format!("other.{table}")).await;
        let only = count(&format!(
            "(SELECT {columns} FROM main.{table} EXCEPT SELECT {columns} FROM other.{table})"
        ))
        .await;
        if rows != others || only > 0 {
            found.push(format!("{table}: {rows} and {others} rows, {only} differ"));
        }
    }
    connection.close().await.unwrap();
    found
}

#[tokio::test]
async fn a_ledger_that_went_to_postgres_and_back_is_the_same_row_by_row() {
    let (store, bench) = full().await;
    let (one, two, three) = (
        open(&store.path()).await,
        PostgresDatabase::default(),
        Kind::sqlite(),
    );
    let (two, three_open) = (two.ledger().await, three.open().await);
    let there = moved(&one, &two).await;
    for run in ["spring@once", "done@once"] {
        assert!(two.run(&run_id(run)).await.unwrap().is_some());
    }
    let back = moved(&two, &*three_open).await;
    assert_eq!(there, back);
    assert_eq!(differences(&store.path(), &three.path()).await, [""; 0]);
    for (run, _) in three_open.runs().await.unwrap() {
        if run.run != bench.run.run {
            continue;
        }
        // What was altered by hand above is found, and nothing else.
        let found = findings(&*three_open, &run.run).await;
        let before = findings(&one, &run.run).await;
        assert_eq!(found, before);
    }
}

#[tokio::test]
async fn like_to_like_is_the_same_too() {
    let (store, _) = full().await;
    let target = Kind::sqlite();
    moved(&open(&store.path()).await, &*target.open().await).await;
    assert_eq!(differences(&store.path(), &target.path()).await, [""; 0]);
    let (one, two, back) = (Kind::postgres(), Kind::postgres(), Kind::sqlite());
    let (one, two, back_open) = (one.open().await, two.open().await, back.open().await);
    moved(&*target.open().await, &*one).await;
    moved(&*one, &*two).await;
    moved(&*two, &*back_open).await;
    assert_eq!(differences(&store.path(), &back.path()).await, [""; 0]);
}
