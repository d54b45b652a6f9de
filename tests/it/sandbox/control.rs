//! The control surface over HTTP: the record, its filters, faults and reset.

use serde_json::json;

use super::*;

#[tokio::test]
async fn the_journal_holds_every_request_and_every_message() {
    let stage = Stage::new().await;
    let body = hello(DANA, "k1").to_string();
    let sent = stage.greet(DANA, "k1").await;
    stage.step(SignedDuration::from_secs(2));
    stage.greet(SAM, "k2").await;
    stage.get("/messages/nope").await;
    let journal = stage.look("/journal").await;
    let requests = journal["requests"].as_array().unwrap();
    let first = &requests[0];
    let digest = sendoff::domain::digest::Digest::of(body.as_bytes()).to_string();
    assert_eq!(requests.len(), 3);
    assert_eq!(first["at"], "2026-06-10T09:15:00.000Z");
    assert_eq!(first["method"], "POST");
    assert_eq!(first["path"], "/api/v1/chats");
    assert_eq!(first["body_sha256"], digest);
    assert_eq!(first["bytes"], body.len());
    assert_eq!((&first["key"], &first["to"]), (&json!("k1"), &json!(DANA)));
    assert_eq!(
        (&first["status"], &first["fault"]),
        (&json!(200), &Value::Null)
    );
    assert_eq!(first["tenant"], stage.tenant.slug);
    assert_eq!(
        (&requests[2]["status"], &requests[2]["code"]),
        (&json!(404), &json!(2003))
    );
    let message = &journal["messages"][0];
    assert_eq!(message["to"], json!([DANA]));
    assert_eq!(message["from"], LINE);
    assert_eq!(message["chat_id"], sent["chat"]["id"]);
    assert_eq!(message["message_id"], sent["message"]["id"]);
    assert_eq!(message["body_sha256"], digest);
    assert_eq!(message["parts"], sent["message"]["parts"]);
    assert_eq!(message["status"], "delivered");
    assert!(!journal.to_string().contains(stage.secret()));
    stage.close().await;
}

#[tokio::test]
async fn the_journal_is_filtered_by_person_and_place() {
    let stage = Stage::new().await;
    for (to, key) in [(DANA, "k1"), (SAM, "k2"), (DANA, "k3")] {
        stage.greet(to, key).await;
    }
    for (query, seqs) in [
        ("?to=%2B12025550143", vec![1, 3]),
        ("?to=+12025550144", vec![2]),
        ("?after=1", vec![2, 3]),
        ("?after=1&limit=1", vec![2]),
        ("?after=9", vec![]),
    ] {
        let journal = stage.look(&format!("/journal{query}")).await;
        for list in ["requests", "messages"] {
            let rows = journal[list].as_array().unwrap().iter();
            let found: Vec<_> = rows.map(|row| row["seq"].as_u64().unwrap()).collect();
            assert_eq!(found, seqs, "{query} {list}");
        }
        assert_eq!(journal["totals"]["messages"], 3);
    }
    let typo = answer(stage.control(Method::GET, "/journal?form=x")).await;
    assert_eq!(typo.status, 400);
    assert!(typo.json()["error"].as_str().unwrap().contains("`to`"));
    stage.close().await;
}

#[tokio::test]
async fn the_sums_tell_who_got_what_and_how_fast_it_came() {
    let stage = Stage::new().await;
    for (to, key, step) in [
        (DANA, "k1", 0),
        (SAM, "k2", 600),
        (DANA, "k3", 600),
        (DANA, "k3", 600),
    ] {
        stage.step(SignedDuration::from_millis(step));
        stage.greet(to, key).await;
    }
    let received = stage.look("/received").await;
    let people = received["people"].as_array().unwrap();
    assert_eq!(people.len(), 2);
    assert_eq!(people[0]["to"], DANA);
    assert_eq!(people[0]["count"], 2);
    assert_eq!(people[0]["keys"], json!(["k1", "k3"]));
    let totals = stage.look("/totals").await;
    assert_eq!(totals, received["totals"]);
    for (what, count) in [
        ("requests", 4),
        ("message_posts", 4),
        ("messages", 3),
        ("people", 2),
        ("most_per_person", 2),
        ("repeated_keys", 0),
        ("busiest_second", 2),
        ("waiting", 0),
    ] {
        assert_eq!(totals[what], count, "{what}");
    }
    assert_eq!(totals["lines"], json!({ LINE: 3 }));
    stage.close().await;
}

#[tokio::test]
async fn faults_are_set_read_and_cleared_over_http() {
    let stage = Stage::new().await;
    let plan = json!({ "seed": 7, "rules": [{ "kind": "throttle", "wait": 2, "times": 1 }] });
    let set = answer(
        stage
            .control(Method::POST, "/faults")
            .body(plan.to_string()),
    )
    .await;
    assert_eq!(set.status, 200, "{}", set.text);
    assert_eq!(stage.post("/chats", &hello(DANA, "k1")).await.code(), 1007);
    stage.greet(DANA, "k1").await;
    let report = stage.look("/faults").await;
    assert_eq!(
        report,
        json!({ "seed": 7, "rules": [{ "kind": "throttle", "wait": 2, "share": 1.0,
            "times": 1, "match": { "route": "posts" }, "fired": 1 }] })
    );
    let bad = stage
        .control(Method::POST, "/faults")
        .body("{\"rules\":[{\"kind\":\"x\"}]}");
    assert_eq!(answer(bad).await.status, 400);
    assert_eq!(
        stage.look("/faults").await,
        report,
        "a bad plan changes nothing"
    );
    let cleared = answer(stage.control(Method::DELETE, "/faults"))
        .await
        .json();
    assert_eq!(cleared["rules"], json!([]));
    stage.close().await;
}

#[tokio::test]
async fn a_reset_forgets_all_but_the_credentials() {
    let stage = Stage::new().await;
    let before = stage.greet(DANA, "k1").await;
    stage.faults(&json!([{ "kind": "slow", "delay_ms": 600_000, "match": { "to": SAM } }]));
    let body = hello(SAM, "k2");
    let lying = stage.post("/chats", &body);
    let reset = async {
        stage.until_waiting(1).await;
        answer(stage.control(Method::POST, "/reset")).await
    };
    let (lying, reset) = tokio::join!(lying, reset);
    assert_eq!(reset.status, 200);
    assert_eq!(
        lying.code(),
        3002,
        "what lay across the reset was not taken"
    );
    assert!(stage.received(SAM).is_empty());
    assert_eq!(stage.totals().messages, 0);
    let path = format!("/chats/{}/messages", before["chat"]["id"].as_str().unwrap());
    assert_eq!(stage.get(&path).await.code(), 2002);
    assert_eq!(
        stage.greet(DANA, "k1").await,
        before,
        "the same seed, the same ids"
    );
    stage.close().await;
}

#[tokio::test]
async fn control_and_provider_keep_to_their_own_paths() {
    let stage = Stage::new().await;
    assert_eq!(stage.get("/_sandbox/journal").await.code(), 2011);
    stage.look("/totals").await;
    assert_eq!(stage.totals().requests, 1, "looking is not recorded");
    stage.close().await;
}

#[tokio::test]
async fn whoever_is_turned_away_is_in_the_journal_with_the_key() {
    let stage = Stage::with(SandboxConfig {
        rate: Some(sendoff::sandbox::default_rate()),
        ..config()
    })
    .await;
    for n in 0..21 {
        stage.post("/chats", &hello(DANA, &format!("k{n}"))).await;
    }
    let stranger = stage.bare(Method::POST, "/chats");
    answer(stranger.body(hello(SAM, "k99").to_string())).await;
    let requests = stage
        .sandbox
        .journal(&Filter {
            after: 20,
            ..Filter::default()
        })
        .requests;
    let told: Vec<_> = requests
        .iter()
        .map(|r| (r.key.as_deref(), r.code))
        .collect();
    assert_eq!(told, [(Some("k20"), Some(1007)), (Some("k99"), Some(2012))]);
    stage.close().await;
}

#[tokio::test]
async fn a_request_that_breaks_off_reaches_nobody() {
    let stage = Stage::new().await;
    let mut wire = stage.connect().await;
    let head = format!(
        "POST /api/v1/chats HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 400\r\n\r\n",
        stage.secret()
    );
    let part = format!("{head}{}", hello(DANA, "k1"));
    tokio::io::AsyncWriteExt::write_all(&mut wire, part.as_bytes())
        .await
        .unwrap();
    drop(wire);
    stage.until(|totals| totals.requests == 1).await;
    let requests = stage.sandbox.journal(&Filter::default()).requests;
    assert_eq!((requests[0].status, requests[0].body_sha256), (None, None));
    assert!(stage.received(DANA).is_empty());
    stage.close().await;
}
