//! The filters that templates have besides Tera's own. No filter reads a clock or a file: the
//! same row always renders to the same message.

use tera::{Kwargs, State, Tera, TeraResult, Value};

use super::meter::TOO_LARGE;
use super::render::MAX_OUTPUT;

/// Most numbers that `range` makes; a message needs no more, and a slip must not hang a check.
const MAX_RANGE: i64 = 1_000;

/// Names for "did you mean": Tera's own filters and ours.
pub const NAMES: [&str; 39] = [
    "abs",
    "capitalize",
    "default",
    "escape",
    "escape_html",
    "escape_xml",
    "first",
    "float",
    "get",
    "group_by",
    "indent",
    "int",
    "join",
    "keys",
    "last",
    "length",
    "lower",
    "newlines_to_br",
    "nth",
    "pairs",
    "pluralize",
    "replace",
    "reverse",
    "round",
    "safe",
    "slugify",
    "sort",
    "split",
    "str",
    "title",
    "trim",
    "trim_end",
    "trim_start",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "values",
    "wordcount",
];

/// Registers ours, over Tera's where the names are the same.
pub fn register(tera: &mut Tera) {
    tera.register_filter("default", default);
    tera.register_filter("slugify", |text: &str, _: Kwargs, _: &State<'_>| {
        slugify(text)
    });
    tera.register_filter("urlencode", |text: &str, _: Kwargs, _: &State<'_>| {
        urlencode(text)
    });
    tera.register_filter("replace", replace);
    tera.register_filter("join", join);
    tera.register_filter("indent", indent);
    // Nothing is escaped, so nothing has to be kept from it.
    tera.register_filter("safe", |value: Value, _: Kwargs, _: &State<'_>| value);
    tera.register_function("range", range);
}

/// A text of the length that it will have, or a refusal before it is made.
fn of_length(length: usize) -> TeraResult<String> {
    if length > MAX_OUTPUT {
        Err(tera::Error::message(TOO_LARGE))
    } else {
        Ok(String::with_capacity(length))
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the template engine's"
)]
fn replace(text: &str, arguments: Kwargs, _: &State<'_>) -> TeraResult<String> {
    let from = arguments.must_get::<&str>("from")?;
    let to = arguments.must_get::<&str>("to")?;
    of_length(text.matches(from).count().saturating_mul(to.len()))?;
    Ok(text.replace(from, to))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the template engine's"
)]
fn join(values: &[Value], arguments: Kwargs, _: &State<'_>) -> TeraResult<String> {
    let between = arguments.get::<&str>("sep")?.unwrap_or_default();
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    let length: usize = texts.iter().map(|text| text.len() + between.len()).sum();
    of_length(length)?;
    Ok(texts.join(between))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the template engine's"
)]
fn indent(text: &str, arguments: Kwargs, _: &State<'_>) -> TeraResult<String> {
    let filler = arguments.get::<&str>("indentation")?.unwrap_or(" ");
    let width = arguments.get::<usize>("width")?.unwrap_or(4).min(1_000);
    let first = arguments.get::<bool>("first")?.unwrap_or(false);
    let blank = arguments.get::<bool>("blank")?.unwrap_or(false);
    let lines = text.split('\n').count();
    let mut out = of_length(
        text.len()
            .saturating_add(lines.saturating_mul(width.saturating_mul(filler.len()))),
    )?;
    for (n, line) in text.split_inclusive('\n').enumerate() {
        if (n > 0 || first) && (blank || !line.trim_end_matches(['\r', '\n']).is_empty()) {
            out.extend(std::iter::repeat_n(filler, width));
        }
        out.push_str(line);
    }
    Ok(out)
}

/// Tera's own takes the default only for what is not there at all; in a list, a cell without
/// content is what is not there.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the template engine's"
)]
fn default(value: Value, arguments: Kwargs, _: &State<'_>) -> TeraResult<Value> {
    let instead = arguments.must_get::<Value>("value")?;
    let nothing = match value.as_str() {
        Some(text) => text.trim().is_empty(),
        None => {
            value.is_undefined()
                || value.is_none()
                || value.as_array().is_some_and(<[Value]>::is_empty)
                || (arguments.get::<bool>("boolean")?.unwrap_or_default() && !value.is_truthy())
        }
    };
    if !nothing {
        return Ok(value);
    }
    // An empty default is meant: marked, so that the search for empty cells passes it by.
    Ok(if instead.as_str() == Some("") {
        Value::safe_string("")
    } else {
        instead
    })
}

/// `Marco O'Neill` → `marco-o-neill`, `José` → `jose`: small letters, digits and single hyphens.
/// Letters of other scripts stay as they are.
pub fn slugify(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        if let Some(plain) = without_accent(letter) {
            slug.push_str(plain);
        } else if letter.is_alphanumeric() {
            slug.push(letter);
        } else if !is_mark(letter) && !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// Combining marks (U+0300 to U+036F) of letters written in two characters.
fn is_mark(letter: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&letter)
}

fn without_accent(letter: char) -> Option<&'static str> {
    const PLAIN: [(&str, &str); 26] = [
        ("àáâãåāăą", "a"),
        ("ä", "ae"),
        ("æ", "ae"),
        ("çćĉċč", "c"),
        ("ðďđ", "d"),
        ("èéêëēĕėęě", "e"),
        ("ĝğġģ", "g"),
        ("ĥħ", "h"),
        ("ìíîïĩīĭįı", "i"),
        ("ĵ", "j"),
        ("ķ", "k"),
        ("ĺļľŀł", "l"),
        ("ñńņňŉ", "n"),
        ("òóôõøōŏő", "o"),
        ("ö", "oe"),
        ("œ", "oe"),
        ("ŕŗř", "r"),
        ("śŝşšș", "s"),
        ("ß", "ss"),
        ("ţťŧț", "t"),
        ("ùúûũūŭůűų", "u"),
        ("ü", "ue"),
        ("ŵ", "w"),
        ("ýÿŷ", "y"),
        ("źżž", "z"),
        ("þ", "th"),
    ];
    if letter.is_ascii() {
        return None;
    }
    PLAIN
        .iter()
        .find(|(letters, _)| letters.contains(letter))
        .map(|(_, plain)| *plain)
}

/// Percent-encodes everything but letters, digits and `-._~` (RFC 3986 §2.3), for a value inside
/// a web address.
fn urlencode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&crate::domain::digest::hex(&[byte]).to_ascii_uppercase());
        }
    }
    out
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the template engine's"
)]
fn range(arguments: Kwargs, _: &State<'_>) -> TeraResult<Vec<i64>> {
    let start = arguments.get::<i64>("start")?.unwrap_or_default();
    let end = arguments.must_get::<i64>("end")?;
    let step = arguments.get::<i64>("step_by")?.unwrap_or(1);
    if step < 1 || end.saturating_sub(start) / step > MAX_RANGE {
        return Err(tera::Error::message(format!(
            "`range` counts upwards and makes at most {MAX_RANGE} numbers"
        )));
    }
    Ok(std::iter::successors(Some(start), |n| n.checked_add(step))
        .take_while(|n| *n < end)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tera::Context;

    fn render(source: &str) -> String {
        let mut tera = Tera::default();
        register(&mut tera);
        let mut context = Context::new();
        context.insert("empty", "  ");
        context.insert("name", "José Müller");
        tera.render_str(source, &context, false).unwrap()
    }

    #[test]
    fn the_default_fills_an_empty_cell() {
        assert_eq!(render("{{ empty | default(value='friend') }}"), "friend");
        assert_eq!(
            render("{{ name | default(value='friend') }}"),
            "José Müller"
        );
        assert_eq!(render("{{ nothing | default(value='friend') }}"), "friend");
    }

    #[test]
    fn slugs_are_fit_for_file_names() {
        assert_eq!(render("{{ name | slugify }}"), "jose-mueller");
        for (text, slug) in [
            ("Marco O'Neill", "marco-o-neill"),
            (" ../etc/passwd ", "etc-passwd"),
            ("Ренат", "ренат"),
            ("Jose\u{301}", "jose"),
            ("--", ""),
        ] {
            assert_eq!(slugify(text), slug);
        }
    }

    #[test]
    fn values_are_made_fit_for_web_addresses() {
        assert_eq!(render("{{ name | urlencode }}"), "Jos%C3%A9%20M%C3%BCller");
    }

    #[test]
    fn a_range_is_bounded() {
        assert_eq!(
            render("{% for n in range(end=3) %}{{ n }}{% endfor %}"),
            "012"
        );
        let mut tera = Tera::default();
        register(&mut tera);
        assert!(
            tera.render_str("{{ range(end=5000) }}", &Context::new(), false)
                .is_err()
        );
    }
}
