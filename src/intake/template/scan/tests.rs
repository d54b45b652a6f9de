//! Names, guards, files and loops in templates of every make.

use super::*;
use proptest::prelude::*;

#[test]
fn names_are_found_where_they_stand() {
    let scan = Scan::new(
        "Hi {{ name }},\n{# name #}{% if x.name %} {{ 'name' ~ name | upper }}{% endif %}",
    );
    let places: Vec<_> = scan.uses("name").map(|(t, _)| (t.line, t.column)).collect();
    assert_eq!(places, [(1, 7), (2, 39)]);
    assert!(scan.joins());
}

#[test]
fn raw_text_and_component_bodies_hold_no_names() {
    let scan = Scan::new(
        "{% raw %}{{ a }}{% endraw %}{% component c(a) %}{{ a }}{% endcomponent %}{{ a }}",
    );
    assert_eq!(scan.uses("a").count(), 1);
}

#[test]
fn guards_are_seen() {
    let guards = |source: &str| {
        Scan::new(source)
            .uses("n")
            .map(|(_, g)| g)
            .collect::<Vec<_>>()
    };
    assert_eq!(guards("{{ n | default(value='x') }}"), [Guard::Default]);
    assert_eq!(guards("{{ n.a | default(value='x') }}"), [Guard::Default]);
    assert_eq!(guards("{% if n is not defined %}"), [Guard::Tested]);
    assert_eq!(guards("{{ n | upper }}"), [Guard::None]);
}

#[test]
fn attributes_files_and_loops_are_found() {
    let scan = Scan::new(
        "{{ row[\"First Name\"] }}{{ vars.x }}{% include 'a/b.txt' %}{{ <Card a=row /> }}",
    );
    let text = |name: &'static str| {
        scan.attributes(name)
            .map(|(t, _)| t.text.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(text("row"), ["First Name"]);
    assert_eq!(text("vars"), ["x"]);
    assert!(scan.used_whole("row") && !scan.used_whole("vars"));
    assert_eq!(scan.files().next().unwrap().text, "a/b.txt");
    assert!(scan.calls_components());
    let nested = "{% for a in x %}{% for b in a %}{% for c in b %}";
    assert!(Scan::new(nested).deep_loop(2).is_some());
    assert!(Scan::new(nested).deep_loop(3).is_none());
}

#[test]
fn comparison_with_nothing_is_seen() {
    assert!(Scan::new("{% if a == \"\" %}").compares_empty());
    assert!(Scan::new("{% if '' != a %}").compares_empty());
    assert!(!Scan::new("{% if a == 'x' %}").compares_empty());
}

proptest! {
    #[test]
    fn any_text_is_scanned_without_panic(source in "[{}%#a-z\"'|. é\n]{0,60}") {
        let scan = Scan::new(&source);
        prop_assert!(scan.uses("a").count() <= source.len());
    }
}

#[test]
fn signs_that_trim_and_quotes_inside_quotes_hide_nothing() {
    let scan = Scan::new("{%- include 'a.txt' -%}{% raw %}{% x %}{{ n }}{%- endraw %}{{ n -}}");
    assert_eq!(scan.files().next().unwrap().text, "a.txt");
    assert_eq!(scan.uses("n").count(), 1);
    let scan = Scan::new(r#"{{ "a \"%}{{ n }}" }}{%- for n in x %}{%- for m in n %}"#);
    assert!(scan.deep_loop(1).is_some());
    assert!(Scan::new("{{ [n for n in x] }}").comprehension().is_some());
    assert!(
        Scan::new("{% for n in x %}{{ n.for }}")
            .comprehension()
            .is_none()
    );
}
