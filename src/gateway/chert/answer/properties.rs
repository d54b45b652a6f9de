//! Whatever comes, it gets a class, and no word of the provider is passed over. No wire.

use proptest::prelude::*;

use super::tests::{enveloped, now, of};
use super::*;

/// Anything that looks like JSON, a little like ours.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["true", "4002", "1e9", "failed"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let field = prop::sample::select(vec![
            "error",
            "code",
            "retryable",
            "retry_after",
            "message",
            "trace_id",
            "success",
            "status",
            "id",
            "chat",
            "chat_id",
            "message_id",
            "lead_id",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((field, inner), 0..6).prop_map(|pairs| {
                let named = pairs
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(named.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_under_any_status_get_a_class(
        status in 100u16..1000, body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
        let outcome = of_send(&answer, now);
        prop_assert!(status < 300 || outcome.failure().is_some());
    }

    #[test]
    fn any_json_under_any_status_gets_a_class_that_its_words_allow(
        status in 100u16..1000, body in json(),
    ) {
        let outcome = of(status, &body.to_string());
        match &outcome {
            Outcome::Accepted { .. } => prop_assert!((200..300).contains(&status)),
            Outcome::Retry { after, .. } => {
                prop_assert!(after.is_none_or(|after| now().checked_add(after).is_ok()));
            }
            Outcome::LineBusy { after, .. } => prop_assert!(after.is_positive()),
            Outcome::Permanent { failure }
            | Outcome::Uncertain { failure }
            | Outcome::StopRun { failure }
            | Outcome::LineInactive { failure }
            | Outcome::MediaLost { failure } => prop_assert!(!failure.text.is_empty()),
        }
    }

    #[test]
    fn a_word_of_retryable_is_always_obeyed(
        status in 400u16..600, code in any::<u32>(), retryable in any::<bool>(),
    ) {
        let outcome = of(status, &enveloped(status, code, &format!(r#""retryable":{retryable}"#)));
        let again = matches!(
            outcome,
            Outcome::Retry { .. } | Outcome::LineBusy { .. } | Outcome::Uncertain { .. }
        );
        prop_assert_eq!(again, retryable);
    }
}
