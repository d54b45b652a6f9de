use std::path::PathBuf;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::domain::account::{CHERT_BASE_URL, ChertAuth, SecretSource};
use crate::domain::cap::Cap;

fn read_text(text: &str) -> (Option<Settings>, Problems) {
    let source = Source::new("etc/sendoff.yaml".to_owned(), text.to_owned());
    read_source(Path::new("etc/sendoff.yaml"), source)
}

#[test]
fn every_field_of_the_settings_arrives() {
    let (settings, problems) = read_text(
        "ledger: sqlite://sendoff.db\n\
         gateways:\n  chert:\n    kind: chert\n    base_url: http://127.0.0.1:4010/api/v1/\n    \
         tenant: acme-7a3f\n    auth: hmac\n    signing_secret: { env: CHERT_SIGNING_SECRET }\n    \
         rate: 10/s\n    burst: 20\n    timeout: 10s\n    idempotency_retention: 12h\n    \
         first_touch: none\n  second:\n    kind: chert\n    auth: bearer\n    \
         signing_secret: { file: secrets/chert }\n",
    );
    assert!(problems.is_empty(), "{problems:?}");
    let settings = settings.unwrap();
    assert_eq!(settings.ledger.as_deref(), Some("sqlite://sendoff.db"));
    assert_eq!(
        settings
            .place("gateways.chert.signing_secret.env")
            .unwrap()
            .line,
        8
    );
    let Account::Chert(first) = &settings.gateways["chert"] else {
        panic!("another kind");
    };
    assert_eq!(first.base_url, "http://127.0.0.1:4010/api/v1");
    assert_eq!(first.tenant.as_deref(), Some("acme-7a3f"));
    assert_eq!(first.auth, ChertAuth::Hmac);
    assert_eq!(
        first.signing_secret,
        SecretSource::Env("CHERT_SIGNING_SECRET".to_owned())
    );
    let limit = first.limit.unwrap();
    assert_eq!(
        (limit.rate.to_string().as_str(), limit.burst.get()),
        ("10/s", 20)
    );
    assert_eq!(first.timeout, SignedDuration::from_secs(10));
    assert_eq!(first.idempotency_retention, SignedDuration::from_hours(12));
    assert_eq!(first.first_touch, None);
    let Account::Chert(second) = &settings.gateways["second"] else {
        panic!("another kind");
    };
    assert_eq!(second.first_touch, Some(Cap::first_touch()));
    assert_eq!(second.base_url, CHERT_BASE_URL);
    assert_eq!((second.tenant.as_deref(), second.limit), (None, None));
    assert_eq!(
        second.signing_secret,
        SecretSource::File(PathBuf::from("etc/secrets/chert"))
    );
}

#[test]
fn a_cap_on_first_messages_is_the_published_one_but_for_what_is_written() {
    let read = |cap: &str| {
        let (settings, problems) = read_text(&format!(
            "gateways:\n  chert:\n    kind: chert\n    auth: bearer\n    \
             signing_secret: {{ env: S }}\n    first_touch: {cap}\n"
        ));
        assert!(problems.is_empty(), "{problems:?}");
        let Account::Chert(account) = &settings.unwrap().gateways["chert"] else {
            panic!("another kind");
        };
        let cap = account.first_touch.clone().unwrap();
        (cap.per_day.unwrap().get(), cap.gap)
    };
    let minutes = SignedDuration::from_mins;
    assert_eq!(read("{ per_day: 30, gap: 10m }"), (30, minutes(10)));
    assert_eq!(read("{ per_day: 50 }"), (50, minutes(10)));
    assert_eq!(read("{ gap: 2m }"), (30, minutes(2)));
    assert_eq!(read("{ gap: none }"), (30, minutes(0)));
}

#[test]
fn a_signed_gateway_needs_its_tenant() {
    let (settings, problems) =
        read_text("gateways: { chert: { kind: chert, signing_secret: { env: A } } }\n");
    assert!(settings.is_none());
    assert!(problems.iter().all(|p| p.message.contains("'tenant'")));
}

proptest! {
    /// However the file is damaged around it, a secret in it is never shown.
    #[test]
    fn a_secret_is_never_shown(
        before in "[a-z:{}\\[\\]'\"|>&*! \n#-]{0,30}",
        between in "(: |:|: '|: \"|: \\|\n      | |: \\[|: \\{|: &a |: !x | - |#)",
        after in "[a-z:{}\\[\\]'\" \n#,-]{0,20}",
        field in "(signing_secret|signing_secrt|api_key|tenant|ledger|kind|rate|base_url|x)",
    ) {
        const SECRET: &str = "0123456789abcdef0123456789abcdef";
        let text = format!("gateways:\n  chert:\n    kind: chert\n    {before}{field}{between}{SECRET}{after}\n");
        let (_, problems) = read_text(&text);
        for problem in problems.iter() {
            let shown = format!("{problem:?}");
            prop_assert!(!shown.contains("0123456789abcdef"), "{text}\n{shown}");
        }
    }
}
