//! `from`, `channel` and `uncertain`: by which way people are written to, and what a provider
//! without keys is asked to do about messages in doubt. Does not know which kind of account the
//! gateway is.

use super::Reader;
use crate::domain::campaign::{OnUncertain, Recipients};
use crate::domain::channel::Channel;
use crate::domain::phone::Phone;
use crate::domain::problem::Problem;
use crate::domain::window::{Window, WindowZone};
use crate::intake::yaml::{Fields, Kind, items};

/// How people are written to.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// Sender lines; none where there is a channel.
    pub(super) lines: Vec<Phone>,
    pub(super) channel: Option<Channel>,
    pub(super) on_uncertain: OnUncertain,
}

pub(super) fn read(reader: &Reader, fields: &mut Fields<'_>) -> Way {
    let channel = channel(reader, fields);
    Way {
        lines: lines(reader, fields),
        on_uncertain: on_uncertain(reader, fields),
        channel,
    }
}

fn channel(reader: &Reader, fields: &mut Fields<'_>) -> Option<Channel> {
    let names = Channel::ALL.map(|channel| (channel.as_str(), channel));
    let node = fields.get(reader, "channel")?;
    reader.choice(node, &names)
}

/// The sender lines. A Chert campaign needs at least one; a channel has none.
fn lines(reader: &Reader, fields: &mut Fields<'_>) -> Vec<Phone> {
    const EXAMPLE: &str = "from: [\"+15555550100\"]";
    if fields.has("channel") {
        fields.refuse(reader, "from", |_| {
            Problem::error("a campaign with a `channel` has no lines to send from")
                .label("there is a `channel` too")
                .help(
                    "remove this line: a HueChat account sends from the number or address that it \
                     has for the channel; or remove `channel` to send through Chert",
                )
        });
        return Vec::new();
    }
    let Some(node) = fields.require(reader, "from", EXAMPLE) else {
        return Vec::new();
    };
    let items = items(node);
    if items.is_empty() && node.kind != Kind::Broken {
        reader.report(
            &node.range,
            Problem::error("'from' names no line to send from")
                .label("empty")
                .help(format!("write a line of your account, such as `{EXAMPLE}`")),
        );
    }
    let mut lines = Vec::new();
    for item in items {
        let Some(text) = reader.text(item, "a phone number") else {
            continue;
        };
        match Phone::from_e164(text) {
            Ok(line) if lines.contains(&line) => reader.report(
                &item.range,
                Problem::error("this line is named twice")
                    .label("already in the list")
                    .help("remove one; each line takes an equal share of the recipients"),
            ),
            Ok(line) => lines.push(line),
            Err(error) => reader.report(
                &item.range,
                Problem::error(error.to_string())
                    .label("not a line in international form")
                    .help("write `+`, the country code and the number without spaces, in quotes"),
            ),
        }
    }
    lines
}

/// The words that stand beside `uncertain: resend`.
const WORDS: &str = "i-accept-duplicates";

/// What happens to messages in doubt. Sending them again takes words that nobody writes by
/// accident.
fn on_uncertain(reader: &Reader, fields: &mut Fields<'_>) -> OnUncertain {
    let chosen = fields.get(reader, "uncertain").and_then(|node| {
        let choices = [("hold", OnUncertain::Hold), ("resend", OnUncertain::Resend)];
        reader.choice(node, &choices)
    });
    let accepted = fields
        .get(reader, WORDS)
        .and_then(|node| reader.choice(node, &[("true", true), ("false", false)]));
    if fields.has("uncertain") && !fields.has("channel") {
        reader.report(
            &fields.key("uncertain"),
            Problem::error(
                "'uncertain' is for providers without keys; Chert has them, and a message in \
                 doubt is asked for again without a second one",
            )
            .label("says nothing here")
            .help("remove the line"),
        );
        return OnUncertain::Hold;
    }
    match (chosen, accepted) {
        (Some(OnUncertain::Resend), Some(true)) => return OnUncertain::Resend,
        (Some(OnUncertain::Resend), Some(false) | None) => {
            if accepted.is_some() || !fields.has(WORDS) {
                reader.report(
                    &fields.key("uncertain"),
                    Problem::error(
                        "a message in doubt that is sent again may reach somebody twice, for this \
                         provider cannot tell a repeat",
                    )
                    .label("nobody has accepted that")
                    .help(format!(
                        "write `{WORDS}: true` beside it; or `uncertain: hold`, and such messages \
                         wait for `sendoff resolve`"
                    )),
                );
            }
        }
        (Some(OnUncertain::Hold) | None, _) => {
            let misread = chosen.is_none() && fields.has("uncertain");
            if fields.has(WORDS) && !misread {
                reader.report(
                    &fields.key(WORDS),
                    Problem::error(format!(
                        "'{WORDS}' without `uncertain: resend` accepts what never happens"
                    ))
                    .label("nothing is sent twice here")
                    .help("remove the line"),
                );
            }
        }
    }
    OnUncertain::Hold
}

/// Whether the clocks that the window asks for can be known at all.
pub(super) fn clocks(
    reader: &Reader,
    fields: &Fields<'_>,
    (channel, window): (Option<Channel>, Option<&Window>),
    recipients: Option<&Recipients>,
) {
    let by_person = window.is_some_and(|window| *window.zone() == WindowZone::Recipient);
    let known = recipients.is_none_or(|recipients| recipients.columns.timezone.is_some());
    if by_person && !known && channel.is_some_and(Channel::is_mail) {
        reader.report(
            &fields.key("window"),
            Problem::error("an e-mail address does not tell what time it is for a person")
                .label("asks for each recipient's own clock")
                .help(
                    "name the column that knows, `recipients: { columns: { timezone: … } }`, or \
                     give the window one time zone",
                ),
        );
    }
}
