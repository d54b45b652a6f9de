//! Rows on their way from one database to another. Does not know where they come from.

use super::catalogue::{Kind, Table};

/// What a column holds, the same whichever database it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    /// Also a flag: 0 or 1.
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row in the order of the catalogue's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub(in super::super) Vec<Value>);

/// What a row is known by, and sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(pub(in super::super) Vec<Value>);

impl Row {
    pub(super) fn key(&self, table: &Table) -> Key {
        Key(self.0.iter().take(table.key).cloned().collect())
    }
}

impl Key {
    /// Before every row that there can be.
    pub(in super::super) fn before_all(table: &Table) -> Self {
        let least = |kind| match kind {
            Kind::Text | Kind::Bytes => Value::Text(String::new()),
            Kind::Integer | Kind::Flag | Kind::OrZero => Value::Integer(i64::MIN),
        };
        let columns = table.columns.iter().take(table.key);
        Self(columns.map(|column| least(column.kind)).collect())
    }

    /// The row for people, without a person's number.
    pub(super) fn named(&self, table: &Table) -> String {
        let columns = table.columns.iter().zip(&self.0);
        let parts: Vec<String> = columns
            .filter_map(|(column, value)| match value {
                Value::Integer(number) => Some(format!("{} {number}", column.name)),
                Value::Text(text) if matches!(column.name, "phone" | "recipient") => {
                    let end = text.chars().rev().take(4).collect::<Vec<_>>();
                    let end: String = end.into_iter().rev().collect();
                    (!end.is_empty()).then(|| format!("{} …{end}", column.name))
                }
                Value::Text(text) => Some(format!("{} '{text}'", column.name)),
                Value::Null | Value::Bytes(_) => None,
            })
            .collect();
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Name;
    use super::*;

    #[test]
    fn a_row_is_named_by_its_key_and_a_person_by_the_end_of_the_number() {
        let key = Key(vec![
            Value::Text("chert".into()),
            Value::Text("+12025550143".into()),
        ]);
        let chats = Name::Chats.table();
        assert_eq!(key.named(chats), "gateway 'chert', phone …0143");
        let key = Key(vec![Value::Integer(7), Value::Integer(2)]);
        let attempts = Name::Attempts.table();
        assert_eq!(key.named(attempts), "delivery_id 7, attempt 2");
    }
}
