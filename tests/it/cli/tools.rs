//! The operator's tools: what happened to one person, what failed put back, what is uncertain
//! settled. The stories and the proofs stand beside.

mod proof;
mod story;

use std::fs;

use serde_json::json;

use crate::support::{CAMPAIGN, Ended, RUN, Request, Stage, phone, until};

/// Retries that need no patience.
const QUICK: &str = "retry: { attempts: 3, base: 50ms, max: 100ms }";

/// Eight people: one refused for good, one never answered, one refused once, one throttled, one
/// refused to the end, one whose first answer is lost.
async fn eventful() -> Stage {
    let stage = Stage::with(8, QUICK, "").await;
    let rules = json!([
        { "kind": "error", "code": 1010, "match": { "to": phone(2) } },
        { "kind": "drop", "match": { "to": phone(3) } },
        { "kind": "error", "code": 3002, "attempts": 1, "match": { "to": phone(4) } },
        { "kind": "throttle", "wait": 1, "times": 1, "match": { "to": phone(5) } },
        { "kind": "error", "code": 4001, "retryable": true, "match": { "to": phone(6) } },
        { "kind": "drop", "attempts": 1, "match": { "to": phone(7) } },
    ]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    stage.provider.faults(1, &json!([])).await;
    stage
}

/// Runs a command that succeeds.
async fn done(stage: &Stage, args: &[&str]) -> Ended {
    let ended = stage.project.run(args).await;
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    ended
}

async fn explain(stage: &Stage, who: &str) -> String {
    done(stage, &["explain", RUN, who]).await.out
}

async fn proved(stage: &Stage) -> Ended {
    let ended = done(stage, &["verify", RUN]).await;
    assert!(ended.out.starts_with("hello@once is proved: "), "{ended:?}");
    ended
}

/// Runs a command that cannot start, and gives its words.
async fn refused(stage: &Stage, args: &[&str]) -> String {
    let ended = stage.project.run(args).await;
    assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
    assert_eq!(ended.out, "", "{args:?}");
    format!("$ sendoff {}\n{}", args.join(" "), ended.err)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_put_back_and_sent_by_a_resume() {
    let stage = eventful().await;
    let before = stage.provider.totals().await.message_posts;
    let retry = done(&stage, &["retry", RUN]).await;
    insta::assert_snapshot!(retry.err);
    assert_eq!(
        stage.provider.totals().await.message_posts,
        before,
        "it sends nothing"
    );
    let status = done(&stage, &["status"]).await.out;
    assert!(status.contains("interrupted"), "{status}");
    let resumed = stage.resume().await;
    assert_eq!(resumed.code, Some(3), "one is uncertain still: {resumed:?}");
    assert!(resumed.err.contains("  2 to be sent\n"), "{resumed:?}");
    done(&stage, &["resolve", RUN, "--row", "4", "--as", "unsent"]).await;
    let status = done(&stage, &["status", RUN, "--format", "json"])
        .await
        .json();
    assert_eq!(
        (&status["state"], &status["counts"]["pending"]),
        (&json!("running"), &json!(1))
    );
    assert_eq!(stage.resume().await.code, Some(0));
    // The message that the person was wrong about had been taken: its key has protected it.
    stage.assert_everybody_once().await;
    proved(&stage).await;
    let nothing = stage.project.run(&["retry", RUN]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revised_retry_goes_out_under_a_new_key() {
    let stage = eventful().await;
    let key = |rows: &[crate::support::Row]| rows[2].idempotency_key.clone();
    let before = key(&stage.project.rows(RUN).await);
    done(
        &stage,
        &["retry", RUN, "--recipient", &phone(2), "--revise"],
    )
    .await;
    let after = key(&stage.project.rows(RUN).await);
    assert_ne!(before, after);
    assert_eq!(stage.resume().await.code, Some(3), "others failed");
    let journal = stage.assert_nobody_twice().await;
    let received = journal
        .messages
        .iter()
        .find(|one| one.to == [phone(2)])
        .unwrap();
    assert_eq!(received.key.as_deref(), Some(&*after));
    proved(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_settles_what_is_uncertain() {
    let stage = eventful().await;
    let resolve = ["resolve", RUN, "--recipient", &phone(3), "--as", "sent"];
    let said = done(&stage, &resolve).await;
    assert_eq!(
        said.err,
        "hello@once: row 4 (+1202•••0103) is sent, by your word.\n"
    );
    let rows = stage.project.rows(RUN).await;
    assert_eq!(rows[3].state, "sent");
    let posts = stage.provider.journal().await;
    let of_row = |post: &&Request| post.to.as_deref() == Some(&*phone(3));
    assert_eq!(posts.posts().into_iter().filter(of_row).count(), 3);
    // One more where the wait that another was asked for has taken back what was begun.
    let attempts = rows[3].attempts;
    assert!((3..=4).contains(&attempts), "{attempts}");
    let told = explain(&stage, &phone(3)).await;
    assert!(
        told.starts_with("Yes: the message for +1202•••0103 went out by the operator's word"),
        "{told}"
    );
    let again = stage.project.run(&resolve).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    proved(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_or_does_not_allow_it_says_what_does() {
    let stage = eventful().await;
    let mut told = String::new();
    for args in [
        &["explain", "helo@once", "+12025550100"][..],
        &["explain", RUN, "+12025550190"],
        &["explain", RUN, "C-17"],
        &["explain", RUN, "--row", "9"],
        &["verify", "hello@twice"],
        &["verify", "hello"],
        &["retry", "nothing@like-it"],
        &["retry", RUN, "--code", "7"],
        &["retry", RUN, "--row", "1"],
        &["retry", RUN, "--row", "3", "--code", "4001"],
        &["resolve", RUN, "--as", "sent"],
        &["resolve", RUN, "--row", "1", "--as", "unsent"],
        &["resolve", RUN, "--recipient", "Dana", "--as", "sent"],
    ] {
        told += &refused(&stage, args).await;
    }
    done(&stage, &["resolve", RUN, "--row", "4", "--as", "sent"]).await;
    told += &refused(&stage, &["resolve", RUN, "--row", "4", "--as", "sent"]).await;
    done(&stage, &["retry", RUN]).await;
    told += &refused(&stage, &["retry", RUN]).await;
    done(&stage, &["cancel", RUN, "--yes"]).await;
    told += &refused(&stage, &["retry", RUN]).await;
    insta::assert_snapshot!(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_come_too_late_is_not_put_back() {
    let stage = Stage::with(2, "expires: 1s", "").await;
    let refuse = json!([{ "kind": "error", "code": 1010, "match": { "to": phone(0) } }]);
    stage.provider.faults(1, &refuse).await;
    assert_eq!(stage.send().await.code, Some(3));
    until("the run is too old", async || {
        let ended = stage.project.run(&["retry", RUN]).await;
        let too_old = ended.err.contains("would be skipped as expired");
        if !too_old {
            // It was not old enough yet: put back, and to be failed again.
            assert_eq!(ended.code, Some(0), "{ended:?}");
            stage.resume().await;
        }
        too_old.then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_tools_need_no_settings_but_a_ledger() {
    let stage = Stage::new(2).await;
    let rehearsal = stage.project.run(&["run", CAMPAIGN, "--sandbox"]).await;
    assert_eq!(rehearsal.code, Some(0));
    fs::remove_file(stage.project.path("sendoff.yaml")).unwrap();
    let rehearsal = "hello@rehearsal-1";
    let told = done(&stage, &["explain", rehearsal, "--row", "1"])
        .await
        .out;
    assert!(told.contains("no real person was written to"), "{told}");
    done(&stage, &["verify", rehearsal]).await;
    done(&stage, &["report", rehearsal, "--format", "csv"]).await;
}
