//! Every shipped campaign is right and can be rehearsed as it lies there.

use crate::cli::{home, shipped};

/// The shipped campaigns, by their paths in the project.
fn campaigns() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(home().join("campaigns"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .map(|path| format!("campaigns/{}", path.file_name().unwrap().display()))
        .collect();
    names.sort();
    assert!(names.len() >= 2, "{names:?}");
    names
}

#[tokio::test]
async fn every_campaign_checks_without_a_warning() {
    let campaigns = campaigns();
    let args: Vec<&str> = ["check"]
        .into_iter()
        .chain(campaigns.iter().map(String::as_str))
        .collect();
    let ended = shipped().run(&args).await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    assert_eq!(ended.out.matches(" to send").count(), campaigns.len());
}

#[tokio::test]
async fn every_campaign_can_be_rehearsed_again_and_again() {
    let project = shipped();
    for campaign in campaigns() {
        for number in 1..=2 {
            let args = ["run", &campaign, "--sandbox", "--format", "json"];
            let ended = project.run(&args).await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let json = ended.json();
            let run = json["run"].as_str().unwrap();
            assert!(run.ends_with(&format!("@rehearsal-{number}")), "{run}");
            assert_eq!(json["state"], "finished");
            let counts = &json["counts"];
            let done = counts["sent"].as_u64().unwrap() + counts["skipped"].as_u64().unwrap();
            assert_eq!(Some(done), json["total"].as_u64(), "{json}");
        }
    }
}

#[tokio::test]
async fn every_campaign_has_a_preview_and_its_schedule_in_words() {
    let project = shipped();
    for campaign in campaigns() {
        let preview = project.run(&["preview", &campaign]).await;
        assert_eq!(preview.code, Some(0), "{preview:?}");
        let sends = ["POST /chats", "POST /contact/CONTACT_ID/message"];
        let shown = sends.iter().any(|request| preview.out.contains(request));
        assert!(shown, "{preview:?}");
        let schedule = project.run(&["schedule", &campaign]).await;
        assert_eq!(schedule.code, Some(0), "{schedule:?}");
    }
}

#[tokio::test]
async fn the_order_update_is_previewed_as_the_request_that_carries_it() {
    let project = shipped();
    let args = ["preview", "campaigns/order-update.yaml", "--format", "json"];
    let json = project.run(&args).await.json();
    assert_eq!(json["channel"], "whatsapp");
    assert_eq!(json["request"]["method"], "POST");
    assert_eq!(json["request"]["path"], "/contact/CONTACT_ID/message");
    let body: serde_json::Value =
        serde_json::from_str(json["request"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "channel": "whatsapp",
            "message_type": "template",
            "template_name": "order_confirmation",
            "template_parameters": {
                "1": "Dana", "2": "TX-4410", "3": "Water heater", "4": "Tuesday"
            }
        })
    );
    let page = project
        .run(&["preview", "campaigns/sms-offer.yaml", "--format", "html"])
        .await;
    assert!(page.out.contains("<p class=\"stamp\">SMS</p>"), "{page:?}");
    assert!(!page.out.contains("iMessage"), "{page:?}");
}

#[tokio::test]
async fn check_tells_the_channel_of_a_campaign() {
    let project = shipped();
    let args = [
        "check",
        "campaigns/sms-offer.yaml",
        "campaigns/review-request.yaml",
    ];
    let json = project
        .run(&[&args[..], &["--format", "json"]].concat())
        .await
        .json();
    assert_eq!(json["campaigns"][0]["channel"], "sms");
    assert_eq!(json["campaigns"][0]["skipped"]["filtered"], 1);
    assert!(json["campaigns"][1]["channel"].is_null());
}
