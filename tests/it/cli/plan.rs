//! What a person is told of an account whose plan allows no more requests today, and what a larger
//! plan changes.

use crate::support::{Ended, Stage};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const RUN: &str = "hue@once";
const WORDS: &str = "the 9 requests that its plan allows for a day (UTC) are used up";

/// A stage with a HueChat account besides, in the same sandbox.
async fn stage(plan: &str) -> Stage {
    let stage = Stage::new(1).await;
    // Numbers at which nothing special happens.
    let list = (20..40).fold("Phone,First Name\n".to_owned(), |list, n| {
        list + &format!("+120255501{n},Dana\n")
    });
    stage.project.write("campaigns/people.csv", list);
    stage.project.write(
        "campaigns/hue.yaml",
        "name: hue\ngateway: sms\nchannel: sms\nrecipients: { csv: people.csv }\n\
         message: ../templates/hello.yaml\n",
    );
    write_plan(&stage, plan);
    stage
}

fn write_plan(stage: &Stage, plan: &str) {
    let chert = &stage.provider.settings;
    let url = chert
        .lines()
        .find_map(|line| line.trim().strip_prefix("base_url: "));
    let sandbox = url.unwrap().trim_end_matches("/api/v1");
    let settings = format!(
        "{chert}  sms:\n    kind: huechat\n    base_url: {sandbox}/v2\n    \
         api_key: {{ env: HUECHAT_API_KEY }}\n    plan: {plan}\n"
    );
    stage.project.write("sendoff.yaml", settings);
}

async fn sendoff(stage: &Stage, args: &[&str]) -> Ended {
    let key = [("HUECHAT_API_KEY", "sk_test_plan")];
    stage.project.spawn_with(args, &key).end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_the_day_that_are_used_up_are_told_and_a_larger_plan_counts_at_once() {
    let stage = stage("{ per_minute: 6000, per_day: 9 }").await;
    // A day that ends meanwhile would give the account its requests back.
    let mut midnight = next_midnight();
    let mut ended = sendoff(
        &stage,
        &["run", "campaigns/hue.yaml", "--yes", "--until-idle"],
    )
    .await;
    while ended.code == Some(4) && next_midnight() != midnight {
        midnight = next_midnight();
        ended = sendoff(&stage, &["resume", RUN, "--yes", "--until-idle"]).await;
    }
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(told(&ended).contains(WORDS), "{ended:?}");
    let one = sendoff(&stage, &["status", RUN]).await;
    assert!(told(&one).contains(WORDS), "{one:?}");
    let all = sendoff(&stage, &["status", "--format", "json"])
        .await
        .json();
    let next: Timestamp = all["runs"][0]["next_due_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(next, midnight);
    assert!(all["runs"][0]["counts"]["sent"].as_u64().unwrap() < 5);

    write_plan(&stage, "none");
    let one = sendoff(&stage, &["status", RUN]).await;
    assert!(!one.out.contains("used up"), "{one:?}");
    let ended = sendoff(&stage, &["resume", RUN, "--yes"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// What was printed, without its line breaks.
fn told(ended: &Ended) -> String {
    let words: Vec<&str> = ended.out.split_whitespace().collect();
    words.join(" ")
}

fn next_midnight() -> Timestamp {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let midnight = today.to_zoned(TimeZone::UTC).unwrap().timestamp();
    midnight + SignedDuration::from_hours(24)
}
