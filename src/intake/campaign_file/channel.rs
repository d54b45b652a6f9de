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
        (Account::Chert(_), None, _) | (Account::HueChat(_), Some(_), _) => None,
        (Account::HueChat(_), None, Some(_)) => None,
    }
}
