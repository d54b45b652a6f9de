//! Campaigns over a channel, from their files to a rehearsal: who is written to, what is refused
//! before anything is sent, and that a preview shows what arrives.

use serde_json::json;

use crate::support::Project;

const LIST: &str = "E-Mail,First Name\n\
                    dana@example.com,Dana\n\
                    lee@example.com,Lee\n\
                    DANA@example.com,Dana again\n\
                    nobody,Kim\n\
                    ada@example.com,\n\
                    stop@example.com,Sam\n";

const LETTER: &str = "parts:\n  - type: text\n    subject: \"{{ first_name }}, your invoice\"\n    \
                      value: Thank you.\n  - type: rich_link\n    \
                      url: https://example.com/i\n    title: Your invoice\n";

/// A campaign by e-mail.
fn by_mail() -> Project {
    let project = Project::new();
    project.write(
        "mail.yaml",
        "name: mail\ngateway: post\nchannel: email\nrecipients: { csv: people.csv }\n\
         message: letter.yaml\nsuppress: stop.csv\n",
    );
    project.write("people.csv", LIST);
    project.write("letter.yaml", LETTER);
    project.write("stop.csv", "mail,reason\nStop@Example.com,asked\n");
    project
}

#[tokio::test]
async fn an_e_mail_campaign_writes_to_each_address_once_and_needs_no_phone() {
    let project = by_mail();
    let checked = project.run(&["check", "mail.yaml"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("6 rows, 2 to send, 4 left out"));
    for line in [
        "1  already further up in the list (duplicate)",
        "1  no usable e-mail address (invalid_email)",
        "1  a value the message needs is empty (missing_value)",
        "1  on the do-not-contact list (suppressed)",
    ] {
        assert!(checked.out.contains(line), "{line}: {checked:?}");
    }
    let link = "by e-mail this link is its address on a line of its own";
    assert_eq!(checked.err.matches(link).count(), 1, "{checked:?}");

    let args = ["run", "mail.yaml", "--sandbox", "--format", "json"];
    let ended = project.run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!(report["state"], "finished");
    assert_eq!(report["counts"]["sent"], 2);
    assert_eq!(report["counts"]["skipped"], 4);
    // Whole addresses are for the ledger and the reports of their rows.
    assert!(!ended.err.contains("dana@example.com"), "{ended:?}");
}

#[tokio::test]
async fn a_preview_by_a_channel_shows_the_one_text_that_arrives() {
    let project = by_mail();
    let args = ["preview", "mail.yaml", "--to", "Lee@Example.com"];
    let json = project
        .run(&[&args[..], &["--format", "json"]].concat())
        .await
        .json();
    assert_eq!(json["recipient"]["phone"], "lee@example.com");
    let text = "Thank you.\nhttps://example.com/i";
    assert_eq!(
        json["parts"],
        json!([{ "type": "text", "value": text, "subject": "Lee, your invoice" }])
    );
    let body: serde_json::Value =
        serde_json::from_str(json["request"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({ "channel": "email", "message_type": "text",
                "subject": "Lee, your invoice", "content": text })
    );
    let shown = project.run(&args).await;
    assert!(shown.out.contains("│ Lee, your invoice     │"), "{shown:?}");
    let page = project
        .run(&[&args[..], &["--format", "html"]].concat())
        .await;
    assert!(page.out.contains("<b>Lee, your invoice</b>"), "{page:?}");
}

#[tokio::test]
async fn a_gateway_of_the_other_kind_is_refused_before_anything_is_sent() {
    let project = by_mail();
    project.write(
        "sendoff.yaml",
        "gateways:\n  post: { kind: chert, auth: bearer, signing_secret: { env: S } }\n  \
         hue: { kind: huechat, api_key: { env: K }, plan: free }\n",
    );
    project.write(
        "lines.yaml",
        "name: lines\ngateway: hue\nfrom: [\"+15555550100\"]\n\
         recipients: { csv: people.csv, columns: { phone: First Name } }\nmessage: letter.yaml\n",
    );
    for command in ["check", "run"] {
        for (campaign, place, words) in [
            ("mail.yaml", "mail.yaml:3:", "'post' is a Chert account"),
            ("lines.yaml", "lines.yaml:2:", "'hue' is a HueChat account"),
        ] {
            let refused = project.run(&[command, campaign]).await;
            assert_eq!(refused.code, Some(1), "{refused:?}");
            let told = refused.err.contains(words) && refused.err.contains(place);
            assert!(told, "{refused:?}");
        }
    }
    // A rehearsal asks no settings: the channel alone says whose sandbox it needs.
    let rehearsed = project.run(&["run", "mail.yaml", "--sandbox"]).await;
    assert_eq!(rehearsed.code, Some(0), "{rehearsed:?}");
}
