//! Templates by their own grammar, most of them sound: loops, values that grow, files and
//! components that call each other, so that the cases get behind the parser and are rendered.

use proptest::prelude::*;
use proptest::sample::select;

use super::files::{folder, read_all};
use super::fuzz;

type Words = BoxedStrategy<String>;

fn word(words: &'static [&'static str]) -> Words {
    select(words).prop_map(str::to_owned).boxed()
}

/// Puts what is drawn into a form, in place of each `@`.
fn form(form: &'static str, drawn: Vec<Words>) -> Words {
    drawn
        .prop_map(move |drawn| {
            let mut drawn = drawn.into_iter();
            form.split('@').fold(String::new(), |made, piece| {
                made + piece + &drawn.next().unwrap_or_default()
            })
        })
        .boxed()
}

/// A value that is a text, with `depth` others inside each other.
fn text(depth: u32) -> Words {
    let leaf = word(&[
        "a",
        "b",
        "first_name",
        "technician",
        "vars.business",
        "recipient.phone",
        "run.id",
        "row[\"first_name\"]",
        "\"\"",
        "\"x\"",
        "'\\\\n'",
        "\"0123456789\"",
        "\"a \\\"%}\"",
        "'}}'",
        "`{{`",
    ]);
    if depth == 0 {
        return leaf;
    }
    let (text, list, condition) = (text(depth - 1), list(depth - 1), condition(depth - 1));
    let filter = word(&[
        "upper",
        "lower",
        "title",
        "capitalize",
        "trim",
        "slugify",
        "urlencode",
        "str",
        "safe",
        "escape",
        "newlines_to_br",
        "default(value=\"x\")",
        "default(value=\"\")",
        "replace(from=\"\", to=a)",
        "replace(from=\"0\", to=a ~ b)",
        "truncate(length=1)",
        "truncate(length=99999999999)",
        "indent(width=99999)",
        "indent(width=1000, first=true, blank=true)",
    ]);
    prop_oneof![
        2 => leaf,
        3 => form("(@ ~ @)", vec![text.clone(), text.clone()]),
        4 => form("@ | @", vec![text.clone(), filter]),
        1 => form("(@ if @ else @)", vec![text.clone(), condition, text.clone()]),
        1 => form("@ | join(sep=@)", vec![list.clone(), text.clone()]),
        1 => form("@ | length", vec![list]),
        1 => form("(@)@", vec![text, word(&["[1:]", "[::-1]", "[:9999999]", "[-2:]"])]),
    ]
    .boxed()
}

fn list(depth: u32) -> Words {
    let leaf = word(&[
        "range(end=3)",
        "range(end=1000)",
        "range(start=-5, end=5, step_by=2)",
        "[]",
        "[1, \"x\", first_name]",
        "[a, b]",
        "a",
        "row",
    ]);
    if depth == 0 {
        return leaf;
    }
    let (text, list) = (text(depth - 1), list(depth - 1));
    prop_oneof![
        3 => leaf,
        2 => form("@ | split(pat=@)", vec![text.clone(), word(&["\"\"", "\"0\"", "a"])]),
        1 => form("[@, @]", vec![text.clone(), text]),
        1 => form("[@, @]", vec![list.clone(), list.clone()]),
        2 => form("@ | @", vec![list, word(&["sort", "unique", "reverse"])]),
    ]
    .boxed()
}

fn condition(depth: u32) -> Words {
    let leaf = word(&["a", "nope is defined", "true", "first_name", "1 > 2"]);
    if depth == 0 {
        return leaf;
    }
    let (text, condition) = (text(depth - 1), condition(depth - 1));
    prop_oneof![
        leaf,
        form("(@ == @)", vec![text.clone(), text.clone()]),
        form("(@ in @)", vec![text.clone(), text]),
        form("(@ and not (@))", vec![condition.clone(), condition]),
    ]
    .boxed()
}

/// What no message says, and mostly is refused for.
fn wild() -> Words {
    let value = prop_oneof![
        text(2),
        list(2),
        condition(2),
        word(&[
            "1e300",
            "9223372036854775807",
            "nope",
            "none",
            "loop.index",
            "{\"k\": [1]}"
        ])
    ]
    .boxed();
    let odd = word(&[
        "int",
        "float",
        "abs",
        "round(precision=2147483647)",
        "round(precision=-400)",
        "nth(n=99999999999)",
        "get(key=\"x\")",
        "int(base=37)",
        "group_by(attribute=\"x\")",
        "pluralize",
        "first | first",
        "values",
        "pairs",
        "nope",
    ]);
    let sign = word(&["+", "*", "**", "/", "//", "%", "-", "<", "or"]);
    prop_oneof![
        form("{{ @ | @ }}", vec![value.clone(), odd]),
        form("{{ @ @ @ }}", vec![value.clone(), sign, value.clone()]),
        form("{{ @ }}", vec![value.clone()]),
        form("{{ [n for n in @] }}", vec![value]),
        word(&[
            "{% endif %}",
            "{% for",
            "{% else %}",
            "{% block x %}",
            "{% extends \"a.txt\" %}",
            "{% break %}",
            "{% include \"../x\" %}",
            "{{ range(end=9223372036854775807) }}",
            "{{ __tera_context }}"
        ]),
    ]
    .boxed()
}

/// Tags with other pieces inside.
fn piece(depth: u32) -> Words {
    let leaf = prop_oneof![
        4 => word(&["Hi ", "\n", " ", "{# note #}", "{%- raw -%} {{ x }} {%- endraw -%}", "é漢👍", "{ ", "%}", "{% include \"a.txt\" %}", "{%- include 'b.txt' -%}", "{{ <Card n={a} /> }}", "{{ <Twice n=\"0\" /> }}"]),
        4 => form("{{ @ }}", vec![text(3)]),
        2 => form("{{- @ -}}", vec![text(2)]),
        3 => form("{% set @ = @ %}", vec![word(&["a", "b", "first_name"]), text(3)]),
        1 => word(&["{% set a = a ~ a %}", "{%- set_global a = a ~ a -%}", "{% set a = [a, a] | join %}", "{% set a = a | replace(from=\"0\", to=a) %}"]).prop_map(|tag| tag.repeat(20)),
    ]
    .boxed();
    if depth == 0 {
        return leaf;
    }
    let body = prop::collection::vec(piece(depth - 1), 0..4)
        .prop_map(|pieces| pieces.concat())
        .boxed();
    prop_oneof![
        4 => leaf,
        3 => form("{% for a in @ %}@{% endfor %}", vec![list(2), body.clone()]),
        2 => form("{%- for c in @ -%} @ {%- else -%} x {%- endfor -%}", vec![list(2), body.clone()]),
        3 => form("{% if @ %}@{% else %}@{% endif %}", vec![condition(2), body.clone(), body.clone()]),
        2 => form("{% set a %}@{% endset %}", vec![body.clone()]),
        1 => form("{% filter @ %}@{% endfilter %}", vec![word(&["upper", "trim", "replace(from=\"0\", to=b)"]), body.clone()]),
        1 => form("{% <Card n=\"x\"> %}@{% </Card> %}", vec![body]),
    ]
    .boxed()
}

fn template() -> Words {
    let pieces = prop::collection::vec(piece(2), 1..5).prop_map(|pieces| pieces.concat());
    (pieces, prop::option::weighted(0.08, wild()))
        .prop_map(|(pieces, wild)| {
            format!(
                "{{% set a = \"0123\" %}}{{% set b = \"x\" %}}{pieces}{}",
                wild.unwrap_or_default()
            )
        })
        .boxed()
}

#[test]
fn any_template_of_the_grammar_is_rendered_or_refused() {
    let folder = folder();
    let components = "{% component Card(n) %}*{{ n }}*{{ body | default(value=\"\") }}{% endcomponent Card %}\
        {% component Twice(n) %}{% if n | length < 12 %}{{ <Twice n={n ~ n} /> }}{{ <Twice n={n ~ \"x\"} /> }}{% endif %}{% endcomponent Twice %}";
    std::fs::write(folder.path().join("templates/c.tera"), components).unwrap();
    std::fs::write(folder.path().join("campaigns/people.csv"), "phone,first_name,technician\n+12025550143,Dana,Marco\n+12025550144,,\n+12025550145,0000000000,0\n").unwrap();
    let case = || (template(), template(), template(), condition(2));
    fuzz(400, case, move |(message, first, second, condition)| {
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        // An expression with an end of a tag in it is refused.
        let condition = ["{{", "}}", "{%", "%}"]
            .iter()
            .fold(condition, |c, tag| c.replace(tag, ""));
        // The first may include the second, or they would go round in a circle.
        let (include_a, include_b) = ("{% include \"a.txt\" %}", "{%- include 'b.txt' -%}");
        write("templates/a.txt", &first.replace(include_a, ""));
        write(
            "templates/b.txt",
            &second.replace(include_a, "").replace(include_b, ""),
        );
        write(
            "templates/hello.yaml",
            &format!(
                "parts:\n  - type: text\n    value: {}\n    when: {}\n",
                quoted(&format!("x{message}")),
                quoted(&condition)
            ),
        );
        let campaign = "name: hello\ngateway: chert\nfrom: [\"+15555550100\"]\nmessage: ../templates/hello.yaml\nvars: { business: Acme }\nrecipients:\n  csv: people.csv\n";
        write(
            "campaigns/case.yaml",
            &format!("{campaign}  where: {}\n", quoted(&condition)),
        );
        let path = folder.path().join("campaigns/case.yaml");
        read_all(&path, 1 << 20);
        write("campaigns/case.yaml", campaign);
        prop_assert_eq!(read_all(&path, 1 << 20), read_all(&path, 7));
        Ok(())
    });
}
