//! `recipients`: which list, and how its rows are read. Does not open the list.

use std::path::Path;

use super::{Reader, Recipients, paths};
use crate::domain::campaign::{Columns, ListSource, OnEmpty};
use crate::domain::phone::HomeRegion;
use crate::domain::problem::Problem;
use crate::intake::yaml::Node;

pub(super) fn read(reader: &Reader, node: &Node, path: &Path) -> Option<Recipients> {
    let mut fields = reader.fields(node, "'recipients'")?;
    let source = fields
        .require(reader, "csv", "csv: people.csv")
        .and_then(|node| reader.text(node, "the path of a CSV file"))
        .map(|named| match named {
            "-" => ListSource::StandardInput,
            named => ListSource::File(paths::beside(path, named)),
        });
    let columns = fields
        .get(reader, "columns")
        .map(|node| columns(reader, node))
        .unwrap_or_default();
    let region = fields
        .get(reader, "region")
        .and_then(|node| region(reader, node));
    let filter = fields
        .get(reader, "where")
        .and_then(|node| reader.text(node, "a condition"))
        .map(str::to_owned);
    let on_empty = fields
        .get(reader, "on_empty")
        .and_then(|node| {
            reader.choice(
                node,
                &[
                    ("skip", OnEmpty::Skip),
                    ("error", OnEmpty::Error),
                    ("allow", OnEmpty::Allow),
                ],
            )
        })
        .unwrap_or_default();
    fields.finish(reader);
    Some(Recipients {
        source: source?,
        columns,
        region,
        filter,
        on_empty,
    })
}

fn columns(reader: &Reader, node: &Node) -> Columns {
    let Some(mut fields) = reader.fields(node, "'columns'") else {
        return Columns::default();
    };
    let mut header = |name| {
        fields
            .get(reader, name)
            .and_then(|node| reader.text(node, "the header of a column"))
            .map(str::to_owned)
    };
    let columns = Columns {
        phone: header("phone"),
        key: header("key"),
        timezone: header("timezone"),
        first_name: header("first_name"),
        last_name: header("last_name"),
        email: header("email"),
    };
    fields.finish(reader);
    columns
}

fn region(reader: &Reader, node: &Node) -> Option<HomeRegion> {
    let text = reader.text(node, "a country code of two letters")?;
    let region = HomeRegion::parse(text);
    if region.is_none() {
        reader.report(
            &node.range,
            Problem::error("a region is a country code of two letters (ISO 3166)")
                .label("no such country code")
                .help("write `US` for the United States, `GB` for the United Kingdom, `DE` for Germany"),
        );
    }
    region
}
