//! The campaigns that come with the program, read as they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;

fn read(campaign: &str) -> (Vec<Row>, Vec<Media>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("campaigns")
        .join(campaign);
    let (file, problems) = campaign_file::read(&path);
    assert!(problems.is_empty(), "{problems:?}");
    let (loaded, problems) = load(&file.unwrap());
    assert!(problems.is_empty(), "{problems:?}");
    let loaded = loaded.unwrap();
    let run = RunId::parse("shipped@once").unwrap();
    let (mut rows, mut media) = (Vec::new(), Vec::new());
    for chunk in loaded.rows(&run, loaded.open_list().unwrap()).unwrap() {
        assert!(chunk.problems.is_empty(), "{:?}", chunk.problems);
        rows.extend(chunk.rows);
        media.extend(chunk.media);
    }
    (rows, media)
}

#[test]
fn the_review_request_shows_what_can_happen_to_a_row() {
    let (rows, media) = read("review-request.yaml");
    let mut phones = BTreeMap::<&str, u32>::new();
    let mut skipped = Vec::new();
    for row in &rows {
        match &row.verdict {
            Verdict::Send { recipient, message } => {
                *phones.entry(recipient.phone.expose()).or_default() += 1;
                assert_eq!(message.parts.len(), 3);
                assert_eq!(message.first_message_breaches(), []);
                assert!(recipient.timezone.is_some() && recipient.key.starts_with("TPP-"));
                assert_eq!(recipient.phone.expose().get(5..10), Some("55501"));
            }
            Verdict::Skip { reason, .. } => skipped.push(*reason),
        }
    }
    skipped.sort_by_key(|reason| reason.as_str());
    assert_eq!(skipped, [SkipReason::Filtered, SkipReason::InvalidPhone]);
    assert!(phones.len() >= 40);
    assert_eq!(phones.values().filter(|times| **times > 1).count(), 1);
    let files: BTreeSet<_> = media.iter().map(|media| media.filename.as_str()).collect();
    assert_eq!(
        files,
        BTreeSet::from(["elena.png", "marco.png", "priya.png"])
    );
    assert!(media.iter().all(|media| media.bytes.len() < 60_000));
    insta::assert_snapshot!("shipped_review_request", in_words(&rows[4].verdict));
}

#[test]
fn the_nightly_reminder_says_when_and_where() {
    let (rows, _) = read("nightly-reminder.yaml");
    let texts: Vec<_> = rows.iter().map(|row| in_words(&row.verdict)).collect();
    assert!(rows.iter().all(|row| matches!(&row.verdict, Verdict::Send { message, .. } if message.first_message_breaches().is_empty())));
    insta::assert_snapshot!("shipped_nightly_reminder", texts.join("\n---\n"));
}

#[test]
fn the_channels_campaigns_write_to_ordinary_people_with_names() {
    for (campaign, sent) in [("order-update.yaml", 5), ("sms-offer.yaml", 3)] {
        let (rows, media) = read(campaign);
        assert!(media.is_empty());
        let mut messages = 0;
        for row in &rows {
            let Verdict::Send { recipient, message } = &row.verdict else {
                continue;
            };
            messages += 1;
            assert!(
                message
                    .contact
                    .as_ref()
                    .is_some_and(|c| c.last_name.is_some())
            );
            let end: u32 = recipient.phone.expose()[10..].parse().unwrap();
            // Those below 20 have outcomes of their own in the sandbox.
            assert!(recipient.phone.expose()[5..].starts_with("55501") && end >= 20);
        }
        assert_eq!(messages, sent, "{campaign}");
    }
}
