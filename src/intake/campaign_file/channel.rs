//! `channel` and what goes with it: the way to people where an account offers several, and what
//! becomes of a message of which nobody can tell whether it was sent. Does not know the settings.

use super::Reader;
use crate::domain::account::Account;
use crate::domain::campaign::OnUncertain;
use crate::domain::channel::Channel;
use crate::domain::problem::{Place, Problem};
use crate::intake::yaml::Fields;

/// What a campaign says about its way to people.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    pub(super) channel: Option<Channel>,
    pub(super) on_uncertain: OnUncertain,
}

/// By which a user takes it upon themselves that somebody may get a message twice.
const ACCEPTED: &str = "i-accept-duplicates";

pub(super) fn read(reader: &Reader, fields: &mut Fields<'_>) -> Way {
    let choices = Channel::ALL.map(|channel| (channel.as_str(), channel));
    let channel = fields
        .get(reader, "channel")
        .and_then(|node| reader.choice(node, &choices));
    Way {
        channel,
        on_uncertain: on_uncertain(reader, fields),
    }
}

fn on_uncertain(reader: &Reader, fields: &mut Fields<'_>) -> OnUncertain {
    let wanted = fields.get(reader, "uncertain").and_then(|node| {
        reader.choice(
            node,
            &[("hold", OnUncertain::Hold), ("resend", OnUncertain::Resend)],
        )
    });
    let accepted = fields
        .get(reader, ACCEPTED)
        .and_then(|node| reader.choice(node, &[("true", true), ("false", false)]));
    if !fields.has("channel") {
        for name in ["uncertain", ACCEPTED] {
            if fields.has(name) {
                reader.report(
                    &fields.key(name),
                    Problem::error(format!(
                        "'{name}' says nothing about a campaign through Chert: a message that is \
                         in doubt is asked for again under its key, and never sent twice"
                    ))
                    .label("only with `channel`")
                    .help("remove the line"),
                );
            }
        }
        return OnUncertain::Hold;
    }
    match (wanted, accepted) {
        (Some(OnUncertain::Resend), Some(true)) => OnUncertain::Resend,
        (Some(OnUncertain::Resend), Some(false) | None) => {
            reader.report(
                &fields.key("uncertain"),
                Problem::error(
                    "`uncertain: resend` may send a message twice to the same person, and nobody \
                     has said that this is all right",
                )
                .label("needs a word from you")
                .help(format!(
                    "write `{ACCEPTED}: true` beside it; or `uncertain: hold`, and decide each \
                     case with `sendoff resolve`"
                )),
            );
            OnUncertain::Hold
        }
        (Some(OnUncertain::Hold) | None, Some(true)) => {
            reader.report(
                &fields.key(ACCEPTED),
                Problem::error(format!(
                    "'{ACCEPTED}' stands here, but nothing is sent twice without `uncertain: resend`"
                ))
                .label("accepts what does not happen")
                .help("remove the line, or write `uncertain: resend` beside it"),
            );
            OnUncertain::Hold
        }
        (Some(OnUncertain::Hold) | None, Some(false) | None) => OnUncertain::Hold,
    }
}

/// That a campaign has a channel, and its account none to choose from; or the other way round.
/// `named` is where the campaign says its channel, `gateway` where it names its gateway.
pub(super) fn disagreement(
    channel: Option<Channel>,
    account: &Account,
    named: Option<Place>,
    gateway: (&str, Place),
) -> Option<Problem> {
    let (name, place) = gateway;
    match (account, channel, named) {
        (Account::Chert(_), Some(channel), at) => Some(
            Problem::error(format!(
                "'{name}' is a Chert account, and Chert has no channels: it writes from the lines \
                 in 'from'"
            ))
            .at(at.unwrap_or(place))
            .label(format!("{} needs a HueChat account", channel.in_words()))
            .help(
                "name a gateway of `kind: huechat`, or write `from: [\"+15555550100\"]` in place \
                 of `channel`",
            ),
        ),
        // With a channel that nobody knows, that is what is wrong.
        (Account::HueChat(_), None, None) => Some(
            Problem::error(format!(
                "'{name}' is a HueChat account, and the campaign does not say by which of its \
                 channels it writes"
            ))
            .at(place)
            .label("has several ways to people")
            .help(format!(
                "write `channel: whatsapp` (or {}) in place of `from`",
                Channel::ALL
                    .iter()
                    .skip(1)
                    .map(|channel| channel.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        ),
        (Account::Chert(_), None, _)
        | (Account::HueChat(_), Some(_), _)
        | (Account::HueChat(_), None, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::domain::problem::Problems;
    use crate::intake::campaign_file::{CampaignFile, read_source};
    use crate::intake::settings_file::{self, Settings};
    use crate::intake::yaml::Source;

    fn read(way: &str) -> (Option<CampaignFile>, Problems) {
        let text =
            format!("name: x\ngateway: wa\nrecipients: {{ csv: x.csv }}\nmessage: m.yaml\n{way}\n");
        read_source(Path::new("x.yaml"), Source::new("x.yaml".to_owned(), text))
    }

    fn words(problems: &Problems) -> Vec<&str> {
        problems.iter().map(|p| p.message.as_str()).collect()
    }

    fn refused(way: &str, begins: &str) {
        let (file, problems) = read(way);
        assert!(file.is_none(), "{way}");
        let [words] = words(&problems)[..] else {
            panic!("one problem for {way}: {problems:?}");
        };
        assert!(words.starts_with(begins), "{words}");
        assert!(problems.iter().all(|p| p.place.is_some()));
    }

    #[test]
    fn a_channel_stands_in_place_of_lines() {
        for channel in Channel::ALL {
            let (file, problems) = read(&format!("channel: {channel}"));
            assert!(problems.is_empty(), "{problems:?}");
            let terms = file.unwrap().campaign.terms;
            assert_eq!((terms.channel, terms.lines.len()), (Some(channel), 0));
            assert_eq!(terms.on_uncertain, OnUncertain::Hold);
        }
        refused("vars: {}", "a campaign has no 'from'");
        refused("channel: fax", "one of whatsapp, sms, email, instagram");
        refused(
            "channel: sms\nfrom: [\"+15555550100\"]",
            "'from' names lines",
        );
        refused(
            "channel: sms\npace: { per_line: 1/s }",
            "'per_line' slows lines",
        );
    }

    #[test]
    fn whoever_sends_twice_has_said_so() {
        let both = "channel: sms\nuncertain: resend\ni-accept-duplicates: true";
        let terms = read(both).0.unwrap().campaign.terms;
        assert_eq!(terms.on_uncertain, OnUncertain::Resend);
        let hold = read("channel: sms\nuncertain: hold").0.unwrap();
        assert_eq!(hold.campaign.terms.on_uncertain, OnUncertain::Hold);
        for unsaid in ["", "\ni-accept-duplicates: false"] {
            refused(
                &format!("channel: sms\nuncertain: resend{unsaid}"),
                "`uncertain: resend` may send a message twice",
            );
        }
        refused(
            "channel: sms\ni-accept-duplicates: true",
            "'i-accept-duplicates' stands",
        );
        let chert = "from: [\"+15555550100\"]\nuncertain: hold";
        refused(
            chert,
            "'uncertain' says nothing about a campaign through Chert",
        );
    }

    #[test]
    fn a_window_on_everybodys_clock_needs_to_know_the_clocks_of_e_mail_addresses() {
        let window = "window: { from: \"09:00\", to: \"20:00\", timezone: recipient }";
        refused(
            &format!("channel: email\n{window}"),
            "the window is on each recipient's own clock",
        );
        assert!(read(&format!("channel: sms\n{window}")).1.is_empty());
        let fixed = window.replace("recipient", "Europe/Paris");
        assert!(read(&format!("channel: email\n{fixed}")).1.is_empty());
    }

    fn settings(kind: &str) -> (tempfile::TempDir, Settings) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sendoff.yaml");
        std::fs::write(&path, format!("gateways:\n  wa: {kind}\n")).unwrap();
        let settings = settings_file::read(&path).0.unwrap();
        (folder, settings)
    }

    #[test]
    fn a_campaign_goes_through_an_account_of_its_kind() {
        let (_one, huechat) = settings("{ kind: huechat, api_key: { env: K }, plan: free }");
        let (_two, chert) = settings("{ kind: chert, auth: bearer, signing_secret: { env: S } }");
        let by_channel = read("channel: whatsapp").0.unwrap();
        let by_lines = read("from: [\"+15555550100\"]").0.unwrap();
        assert!(by_channel.account(&huechat).is_ok());
        assert!(by_lines.account(&chert).is_ok());
        let problems = by_channel.account(&chert).unwrap_err();
        assert!(words(&problems)[0].starts_with("'wa' is a Chert account"));
        assert_eq!(
            problems.iter().next().unwrap().place.as_ref().unwrap().line,
            5
        );
        let problems = by_lines.account(&huechat).unwrap_err();
        assert!(words(&problems)[0].starts_with("'wa' is a HueChat account"));
        assert_eq!(
            problems.iter().next().unwrap().place.as_ref().unwrap().line,
            2
        );
    }
}
