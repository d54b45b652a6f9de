//! Opaque ids as one piece of a request's path.

/// Percent-encodes an opaque id, so that it stays one segment of a path (RFC 3986 §2.3).
pub(super) fn segment(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text += &crate::domain::digest::hex(&[byte]).to_ascii_uppercase();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_piece_whatever_is_in_it() {
        assert_eq!(segment("cnt_5f-0.~"), "cnt_5f-0.~");
        assert_eq!(segment("../a b?c#d%"), "..%2Fa%20b%3Fc%23d%25");
        assert_eq!(segment("+12025550143"), "%2B12025550143");
    }
}
