//! A preview as one page that needs nothing else: the message on a phone, and what carries it.
//! Whatever comes from files is escaped; the page loads nothing, and its own policy says so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::indent::indent;
use super::sheet::{Letter, Link, METHOD, Piece, Sheet, Shown, clean, size};
use crate::domain::address::Address;
use crate::domain::channel::Channel;
use crate::domain::delivery::SkipReason;
use crate::domain::message::Media;

const STYLE: &str = include_str!("page.css");

/// Pictures that every browser shows.
const SHOWN: [&str; 5] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
];

/// A larger picture is named, not shown: the page stays light enough to mail.
const LARGEST: usize = 8_000_000;

/// A person without a picture.
const FACE: &str = "<svg viewBox=\"0 0 24 24\" fill=\"currentColor\" aria-hidden=\"true\">\
    <circle cx=\"12\" cy=\"8.2\" r=\"4.2\"/><path d=\"M3.6 20.6a8.4 8.4 0 0 1 16.8 0z\"/></svg>";

const SHEET_OF_PAPER: &str = "<svg viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" \
    stroke-width=\"1.6\" stroke-linejoin=\"round\" aria-hidden=\"true\">\
    <path d=\"M6 2.8h8l4.6 4.6v13.8H6z\"/><path d=\"M14 2.8v4.6h4.6\"/></svg>";

pub(super) fn html(sheet: &Sheet) -> String {
    let (phone, facts) = match &sheet.shown {
        Shown::Message(letter) => (conversation(letter), carrier(sheet, letter)),
        Shown::Skipped { reason, detail } => (silence(), left_out(sheet, *reason, detail)),
    };
    let campaign = escape(sheet.run.campaign());
    let to = sheet.phone.as_ref().map_or("", Address::expose);
    let heading = if to.is_empty() {
        "To nobody".to_owned()
    } else {
        format!("To {}", escape(to))
    };
    let place = format!(
        "{campaign} · row {}, line {} of {}",
        sheet.row,
        sheet.list_line,
        escape(&sheet.list)
    );
    format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{heading} · {campaign}</title>\n\
         <style>\n{STYLE}</style>\n\
         </head>\n\
         <body>\n\
         <main>\n\
         <section class=\"phone\" aria-label=\"The message on the phone\">\n{phone}</section>\n\
         <section aria-label=\"What carries the message\">\n\
         <h1>{heading}</h1>\n\
         <p class=\"place\">{place}</p>\n\
         {facts}</section>\n\
         </main>\n\
         </body>\n\
         </html>\n"
    )
}

fn screen(line: &str, chat: &str, way: &str) -> String {
    format!(
        "<header class=\"bar\"><div class=\"face\">{FACE}</div><div class=\"line\">{line}</div></header>\n\
         <div class=\"chat\">\n{chat}</div>\n\
         <div class=\"write\" aria-hidden=\"true\">{way}</div>\n\
         <div class=\"home\" aria-hidden=\"true\"></div>\n"
    )
}

fn conversation(letter: &Letter) -> String {
    let parts: String = letter.parts.iter().map(part).collect();
    let way = letter.channel.map_or("iMessage", Channel::in_words);
    let line = letter
        .from
        .as_ref()
        .map_or("", crate::domain::phone::Phone::expose);
    screen(
        &escape(line),
        &format!("<p class=\"stamp\">{way}</p>\n{parts}"),
        way,
    )
}

fn silence() -> String {
    let none = "<p class=\"none\"><b>No message</b>This row of the list is left out.</p>\n";
    screen("Nothing is sent", none, "")
}

fn part(piece: &Piece) -> String {
    let inside = match piece {
        Piece::Text(value) => {
            format!(
                "<div class=\"bubble\" dir=\"auto\"><span>{}</span></div>",
                escape(value)
            )
        }
        Piece::File(media) => file(media),
        Piece::Template { name, parameters } => {
            let lines: Vec<String> = parameters
                .iter()
                .map(|(key, value)| format!("{key}: {value}"))
                .collect();
            tile(&format!("Template {name}"), &lines.join(" · "))
        }
        Piece::Remote { url } => tile("Media that the provider fetches", url),
        Piece::Link(link) => card(link),
    };
    format!("<div class=\"part\">{inside}</div>\n")
}

fn file(media: &Media) -> String {
    let kind = media.content_type.as_str();
    let about = format!("{kind}, {}", size(media.bytes.len()));
    if !SHOWN.contains(&kind) || media.bytes.len() > LARGEST {
        return tile(&media.filename, &about);
    }
    let name = escape(&media.filename);
    let data = STANDARD.encode(&media.bytes);
    format!(
        "<img class=\"photo\" alt=\"{name}\" title=\"{name}, {}\" src=\"data:{kind};base64,{data}\">",
        escape(&about)
    )
}

fn tile(name: &str, about: &str) -> String {
    format!(
        "<div class=\"tile\">{SHEET_OF_PAPER}<div><b>{}</b><small>{}</small></div></div>",
        escape(name),
        escape(about)
    )
}

fn card(link: &Link) -> String {
    let host = link.host();
    let art = link
        .image_url
        .as_ref()
        .map(|_| "<span class=\"art\">the picture of the link</span>");
    let initial = host.chars().next().map(|c| c.to_uppercase().to_string());
    let icon = match art {
        None => initial.map(|c| format!("<span class=\"icon\">{}</span>", escape(&c))),
        Some(_) => None,
    };
    let summary = link
        .summary
        .as_deref()
        .map(|text| format!("<span class=\"sum\" dir=\"auto\">{}</span>", escape(text)));
    format!(
        "<a class=\"card\" href=\"{}\" rel=\"noreferrer noopener\" target=\"_blank\">{}\
         <span class=\"words\"><span><b dir=\"auto\">{}</b>{}<small>{}</small></span>{}</span></a>",
        escape(&link.url),
        art.unwrap_or_default(),
        escape(link.title.as_deref().unwrap_or(&host)),
        summary.unwrap_or_default(),
        escape(&host),
        icon.unwrap_or_default()
    )
}

fn carrier(sheet: &Sheet, letter: &Letter) -> String {
    let warn = |text: &String| {
        format!(
            "<p class=\"panel warn\">{}</p>
",
            escape(text)
        )
    };
    let warnings: Vec<String> = letter.warnings.iter().map(warn).collect();
    let mut facts = Facts::default();
    if let Some(from) = &letter.from {
        facts.add("From", &escape(from.expose()));
    }
    if let Some(channel) = letter.channel {
        facts.add("By", channel.in_words());
    }
    let starts = sheet
        .starts
        .as_ref()
        .map(|starts| format!("<br>{}", escape(starts)));
    facts.add(
        "Run",
        &format!(
            "{}{}",
            escape(sheet.run.as_str()),
            starts.unwrap_or_default()
        ),
    );
    if let Some(key) = &sheet.recipient_key
        && Some(key.as_str()) != sheet.phone.as_ref().map(Address::expose)
    {
        facts.add("Person", &escape(key));
    }
    if let Some(timezone) = &sheet.timezone {
        facts.add("Time zone", &escape(timezone));
    }
    facts.add(
        "Key",
        &format!("<code>{}</code>", escape(letter.idempotency_key.as_str())),
    );
    let notes = letter
        .notes
        .iter()
        .map(|note| format!("<li>{}</li>\n", escape(note)));
    format!(
        "{}{}\
         <div class=\"panel request\"><h2>Request <code>{METHOD} {}</code></h2>\n<pre>{}</pre></div>\n\
         <ul class=\"notes\">\n{}</ul>\n",
        warnings.concat(),
        facts.panel(),
        escape(&letter.path),
        code(&letter.body),
        notes.collect::<Vec<_>>().concat()
    )
}

/// Each line hangs below its own indentation when it wraps.
fn code(json: &str) -> String {
    let lines = indent(json);
    let lines = lines.lines().map(|line| {
        let hang = line.len() - line.trim_start_matches(' ').len() + 2;
        format!("<span style=\"--hang:{hang}ch\">{}\n</span>", escape(line))
    });
    lines.collect()
}

fn left_out(sheet: &Sheet, reason: SkipReason, detail: &str) -> String {
    let mut facts = Facts::default();
    facts.add("State", &format!("skipped: <code>{reason}</code>"));
    facts.add("Why", &escape(detail));
    facts.add("Run", &escape(sheet.run.as_str()));
    format!(
        "<p class=\"panel warn\">No message: {}.</p>\n{}",
        escape(reason.in_words()),
        facts.panel()
    )
}

/// Names and values; the values are HTML already.
#[derive(Default)]
struct Facts(Vec<String>);

impl Facts {
    fn add(&mut self, name: &str, value: &str) {
        self.0
            .push(format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
    }

    fn panel(&self) -> String {
        format!("<dl class=\"panel\">\n{}</dl>\n", self.0.concat())
    }
}

/// Text to HTML, for content and for values of attributes in double quotes.
fn escape(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(url: &str) -> Link {
        Link {
            url: url.to_owned(),
            title: Some("<b>&'\"".to_owned()),
            summary: None,
            image_url: None,
            icon_url: None,
        }
    }

    #[test]
    fn no_value_breaks_out_of_its_place() {
        assert_eq!(
            escape("<a href='x\">&\u{0}"),
            "&lt;a href=&#39;x&quot;&gt;&amp;\u{fffd}"
        );
        let card = card(&link("https://example.com/\"><script>x</script>"));
        assert!(
            !card.contains("<script>") && !card.contains("<b>&'"),
            "{card}"
        );
    }

    #[test]
    fn only_pictures_of_a_sensible_size_are_shown() {
        let media = |kind: &str, len: usize| {
            let bytes = vec![7; len];
            file(&Media {
                sha256: crate::domain::digest::Digest::of(&bytes),
                filename: "a\".x".to_owned(),
                content_type: kind.to_owned(),
                bytes: bytes.into(),
            })
        };
        assert!(media("image/png", 3).contains("src=\"data:image/png;base64,BwcH\""));
        assert!(media("image/png", LARGEST + 1).contains("8.0 MB"));
        assert!(media("image/svg+xml", 3).contains("class=\"tile\""));
        assert!(!media("application/pdf", 3).contains("a\".x"));
    }
}
