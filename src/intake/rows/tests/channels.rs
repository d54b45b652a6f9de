//! Lists and messages over the channels of a HueChat account.

use super::*;

const TEMPLATE: &str = "  - type: template\n    name: order_confirmation\n    language: en_US\n    \
     parameters: { \"1\": \"{{ first_name }}\", 2: \"{{ order }}\" }\n";

fn sent(
    outcome: &Outcome,
) -> Vec<(
    &crate::domain::recipient::Recipient,
    &crate::domain::message::Message,
)> {
    outcome
        .rows
        .iter()
        .filter_map(|row| match &row.verdict {
            Verdict::Send { recipient, message } => Some((recipient, message)),
            Verdict::Skip { .. } => None,
        })
        .collect()
}

#[test]
fn an_approved_template_is_filled_row_by_row_and_the_person_has_a_name() {
    let folder = Folder::new(TEMPLATE).by("whatsapp");
    let outcome = folder.run(
        "phone,First Name,last_name,order\n2025550143,\" Dana\n\",Ruiz,A-1\n2025550144,Lee,,A-2\n",
    );
    assert_eq!(outcome.problems, Vec::<String>::new());
    let sent = sent(&outcome);
    let [(dana, message), (_, other)] = sent.as_slice() else {
        panic!("two messages");
    };
    assert_eq!(
        (dana.key.as_str(), dana.phone.expose()),
        ("+12025550143", "+12025550143")
    );
    let contact = message.contact.as_ref().unwrap();
    assert_eq!(
        (contact.first_name.as_str(), contact.last_name.as_deref()),
        ("Dana", Some("Ruiz"))
    );
    assert_eq!(other.contact.as_ref().unwrap().last_name, None);
    let [
        Part::Template {
            name,
            language,
            parameters,
        },
    ] = message.parts.as_slice()
    else {
        panic!("one template");
    };
    assert_eq!(
        (name.as_str(), language.as_deref()),
        ("order_confirmation", Some("en_US"))
    );
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(parameters, [("1", "Dana"), ("2", "A-1")]);
}

#[test]
fn an_empty_parameter_follows_on_empty_and_cannot_be_allowed() {
    let list = "phone,first_name,order\n2025550143,Dana,\n";
    assert_eq!(
        Folder::new(TEMPLATE).by("whatsapp").texts(list),
        ["missing_value: 'order' is empty and the message prints it"]
    );
    for (on_empty, words) in [("error", "'order' is empty"), ("allow", "\"2\" is empty")] {
        let folder = Folder::new(TEMPLATE)
            .by("whatsapp")
            .with(&format!("on_empty: {on_empty}"));
        let problems = folder.run(list).problems;
        assert!(problems[0].contains(words), "{problems:?}");
    }
}

#[test]
fn a_parameter_that_a_template_itself_leaves_empty_is_like_an_empty_cell() {
    let template = "  - type: template\n    name: t\n    parameters: { \"1\": \"{% if visits == 'one' %}{{ first_name }}{% endif %}\" }\n";
    let list = "phone,first_name,visits\n2025550143,Dana,one\n2025550144,Lee,two\n";
    let folder = || Folder::new(template).by("whatsapp");
    let rows = folder().run(list).rows;
    assert!(matches!(&rows[0].verdict, Verdict::Send { .. }));
    assert!(matches!(
        &rows[1].verdict,
        Verdict::Skip { reason: SkipReason::MissingValue, detail, .. }
            if detail == "the parameter \"1\" of the template comes out empty"
    ));
    for (on_empty, words) in [("error", "comes out empty"), ("allow", "\"1\" is empty")] {
        let folder = folder().with(&format!("on_empty: {on_empty}"));
        let problems = folder.run(list).problems;
        assert!(
            problems.len() == 1 && problems[0].contains(words),
            "{problems:?}"
        );
    }
}

#[test]
fn nobody_goes_without_a_first_name() {
    let list = "phone,first_name\n2025550143,\n2025550144, \u{7} \n";
    for (on_empty, more) in [
        ("skip", ""),
        ("allow", "; `on_empty: allow` cannot help with that"),
    ] {
        let folder = Folder::text("Hi")
            .by("sms")
            .with(&format!("on_empty: {on_empty}"));
        let words = format!(
            "missing_value: 'first_name' is empty, and HueChat knows nobody without a first name{more}"
        );
        assert_eq!(folder.texts(list), [words.clone(), words]);
    }
    let problems = Folder::text("Hi")
        .by("sms")
        .run("phone,nick\n2025550143,D\n")
        .problems;
    assert_eq!(
        problems,
        [
            "list.csv:1:1: the list has no column of first names, and HueChat knows nobody without one [name it in the campaign, `columns: { first_name: … }`; the list has 'phone', 'nick']"
        ]
    );
    let named = Folder::text("Hi")
        .by("sms")
        .with("columns: { first_name: nick }");
    assert_eq!(named.texts("phone,nick\n2025550143,D\n"), ["Hi"]);
    let long = format!("phone,first_name\n2025550143,{}\n", "x".repeat(101));
    let problems = Folder::text("Hi").by("sms").run(long).problems;
    assert!(problems[0].contains("'first_name' has 101 characters; a name has at most 100"));
}

#[test]
fn an_e_mail_campaign_reads_addresses_and_needs_no_phone() {
    let folder = Folder::new(
        "  - type: text\n    subject: \"{{ first_name }}, your order\"\n    value: \"{{ recipient.email }}\"\n",
    )
    .by("email");
    let list = "E-Mail,first_name\nDana@Example.com,Dana\nnobody,Lee\n,Kim\n";
    assert_eq!(
        folder.texts(list),
        [
            "dana@example.com",
            "invalid_email: 'E-Mail': an e-mail address has exactly one '@', with something on both sides",
            "invalid_email: 'E-Mail': the cell is empty",
        ]
    );
    let outcome = folder.run(list);
    let [(dana, message)] = sent(&outcome)[..] else {
        panic!("one message");
    };
    assert_eq!(dana.key, "dana@example.com");
    assert!(
        matches!(&message.parts[0], Part::Text { subject: Some(subject), .. } if subject == "Dana, your order")
    );
    let none = Folder::text("Hi")
        .by("email")
        .run("phone,first_name\n2025550143,Dana\n");
    assert_eq!(
        none.problems,
        [
            "list.csv:1:1: the list has no e-mail column [name it in the campaign, `columns: { email: … }`; the list has 'phone', 'first_name']"
        ]
    );
    let two = Folder::text("Hi")
        .by("email")
        .with("columns: { email: private }");
    assert_eq!(
        two.texts("email,private,first_name\nx,dana@example.com,Dana\n"),
        ["Hi"]
    );
}

#[test]
fn what_a_channel_does_not_take_is_shown_at_its_part() {
    let list = "phone,first_name,order\n2025550143,Dana,A-1\n";
    let first =
        |parts: &str, channel: &str| Folder::new(parts).by(channel).run(list).problems[0].clone();
    let subject = "  - { type: text, subject: S, value: Hi }\n";
    assert!(
        first(subject, "sms")
            .starts_with("message.yaml:2:7: row 1 (line 2 of list.csv): SMS has no subject")
    );
    assert!(first(TEMPLATE, "sms").contains("SMS has no approved templates"));
    let file = "  - { type: media, file: images/marco.png }\n";
    assert!(first(file, "whatsapp").contains("this provider takes no files"));
    let chert = Folder::new(subject).run(list).problems;
    assert!(
        chert[0].contains("a subject belongs to an e-mail"),
        "{chert:?}"
    );
}

#[test]
fn a_link_is_said_to_be_its_address_once_for_each_part() {
    let link = "  - { type: rich_link, url: \"https://example.com\", title: T }\n";
    let list = "phone,first_name\n2025550143,Dana\n2025550144,Lee\n";
    let outcome = Folder::new(link).by("sms").run(list);
    assert_eq!(
        outcome.problems,
        [
            "message.yaml:2:7: by SMS this link is its address on a line of its own; its title, summary and pictures are not shown [say in a part of `type: text` what the address is for]"
        ]
    );
    assert_eq!(sent(&outcome).len(), 2);
    assert_eq!(Folder::new(link).run(list).problems, Vec::<String>::new());
}
