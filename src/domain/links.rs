//! Web addresses in plain text. The first-message rule turns on them (chert §6, code 1005).

/// The first web address in `text`: `scheme://…`, `www.…`, or a bare `host.tld` with a known
/// top-level domain. An e-mail address is none (chert §6, "First-message rules").
pub fn first_url(text: &str) -> Option<&str> {
    text.split(|c: char| c.is_whitespace() || "<>\"'()[]{}|,;".contains(c))
        .map(|word| word.trim_end_matches(['.', '!', '?', ':']))
        // Most words are none at first sight.
        .find(|word| word.contains(['.', ':']) && is_url(word))
}

fn is_url(word: &str) -> bool {
    if let Some((scheme, rest)) = word.split_once("://") {
        let scheme = scheme
            .rsplit(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or("");
        return !scheme.is_empty() && !rest.is_empty();
    }
    let host = word.split(['/', '?', '#']).next().unwrap_or(word);
    if host.contains('@') {
        return false;
    }
    let host = host.split_once(':').map_or(host, |(name, _)| name);
    is_www(host) || is_known_host(host)
}

fn is_www(host: &str) -> bool {
    host.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("www."))
        && host.len() > 4
}

/// `example.com`, not `5.30`, `Mr.Smith` or `e.g`.
fn is_known_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    let Some((_, tld)) = host.rsplit_once('.') else {
        return false;
    };
    tld.chars().all(|c| c.is_alphabetic() || c == '-')
        && host.split('.').all(label)
        && psl::suffix(host.to_lowercase().as_bytes()).is_some_and(|suffix| {
            suffix.is_known() && suffix.as_bytes().len() < host.to_lowercase().len()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_addresses_are_seen_in_every_dress() {
        for text in [
            "see https://example.com/x",
            "HTTP://EXAMPLE.COM",
            "go to www.example.com.",
            "visit example.com!",
            "(example.co.uk/menu)",
            "bit.ly/abc",
            "ftp://host",
            "hier: müller.de",
            "example.com:8080/x",
        ] {
            assert!(first_url(text).is_some(), "{text}");
        }
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in [
            "Hi Dana, this is Marco.",
            "at 5.30 p.m.",
            "write to me@example.com",
            "costs 12.50.",
            "e.g. tomorrow",
            "Thanks...see you",
            "Mr.Nobodyhere",
            "",
        ] {
            assert_eq!(first_url(text), None, "{text}");
        }
    }
}
