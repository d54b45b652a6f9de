//! A row's checksum: tells a row that was written from one that was altered or damaged later.
//! Guards against bit rot and stray edits, not against somebody who means to forge a ledger.

use super::digest::Hasher;

/// The first eight bytes of a SHA-256 over the fields of a row, each with its kind and length, so
/// that no two rows of different fields run together.
#[derive(Debug, Clone)]
pub struct Sum(Hasher);

impl Sum {
    /// `what` names the kind of row, so that rows of two kinds never have one sum.
    #[must_use]
    pub fn of(what: &str) -> Self {
        Self(Hasher::default()).text(what)
    }

    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    #[must_use]
    pub fn number(mut self, number: impl Into<i64>) -> Self {
        self.add(number.into());
        self
    }

    /// [`Sum::number`] where the sum grows piece by piece.
    pub fn add(&mut self, number: i64) {
        self.0.update(&number.to_be_bytes());
    }

    /// An absent value differs from every present one.
    #[must_use]
    pub fn maybe_text(mut self, text: Option<&str>) -> Self {
        self.0.update(&[u8::from(text.is_some())]);
        match text {
            Some(text) => self.text(text),
            None => self,
        }
    }

    #[must_use]
    pub fn maybe_number(mut self, number: Option<impl Into<i64>>) -> Self {
        self.0.update(&[u8::from(number.is_some())]);
        match number {
            Some(number) => self.number(number),
            None => self,
        }
    }

    /// As it is stored: any 64 bits.
    pub fn finish(self) -> i64 {
        let digest = self.0.finish();
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(digest.bytes()) {
            *to = *from;
        }
        i64::from_be_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_together() {
        let sums = [
            Sum::of("row").text("ab").text("c"),
            Sum::of("row").text("a").text("bc"),
            Sum::of("row").text("abc").text(""),
            Sum::of("row").maybe_text(None).text("abc"),
            Sum::of("row").maybe_text(Some("")).text("abc"),
            Sum::of("row").maybe_number(None::<i64>).number(0),
            Sum::of("row").maybe_number(Some(0)),
            Sum::of("other").text("ab").text("c"),
        ]
        .map(Sum::finish);
        for (at, sum) in sums.iter().enumerate() {
            assert!(!sums[at + 1..].contains(sum), "{at}");
        }
    }

    #[test]
    fn the_sum_is_the_same_for_ever() {
        let sum = Sum::of("row")
            .text("sendoff")
            .maybe_number(Some(7))
            .finish();
        assert_eq!(sum, -4_353_813_993_173_399_639);
    }
}
