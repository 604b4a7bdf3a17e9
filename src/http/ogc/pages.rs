//! Every resource as a page: what JSON says, as a list of facts and links; features with a small map.

use serde_json::Value;

use super::Collection;
use crate::http::views::{self, FactView, LayerView, Page, SmallMap};

/// A resource that is no list of features.
pub(super) fn of(page: &Page, title: &str, said: &Value) -> String {
    let facts = facts_of(said);
    let links = links_of(said, title);
    let view = LayerView { title, facts: &facts, links: &links, ..LayerView::default() };
    views::layer(page, &view)
}

/// Features of one page.
pub(super) fn features(
    page: &Page,
    collection: Collection,
    around: &Value,
    heads: &[String],
    rows: &[Vec<String>],
    map: Option<SmallMap>,
) -> String {
    let collection = collection.id();
    let title = page.catalogue.word("ogc_collection", collection);
    let links = links_of(around, &title);
    let count = |name: &str| around[name].as_u64().unwrap_or_default();
    let sum = page.catalogue.fill(
        "ogc.shown",
        &[("shown", &count("numberReturned").to_string()), ("matched", &count("numberMatched").to_string())],
    );
    let view = LayerView {
        title: &title,
        lead: &sum,
        links: &links,
        heads,
        rows,
        // A row leads to its feature.
        collection,
        map,
        ..LayerView::default()
    };
    views::layer(page, &view)
}

/// One feature.
pub(super) fn feature(
    page: &Page,
    collection: Collection,
    id: &str,
    facts: Vec<(String, String)>,
    map: Option<SmallMap>,
) -> String {
    let facts: Vec<FactView> = facts.into_iter().map(|(name, value)| FactView { name, value }).collect();
    let view = LayerView { title: id, facts: &facts, map, above: collection.id(), ..LayerView::default() };
    views::layer(page, &view)
}

/// What it says, objects member by member; what is deeper is written as JSON.
fn facts_of(said: &Value) -> Vec<FactView> {
    let Some(members) = said.as_object() else { return Vec::new() };
    let mut facts = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| name.as_str() != "links") {
        match value {
            Value::Object(inner) => {
                facts.extend(inner.iter().map(|(inner, value)| fact(format!("{name} · {inner}"), value)));
            }
            // Each has a page of its own, to which its links lead.
            Value::Array(list) if list.iter().any(|one| one["links"].is_array()) => {}
            value => facts.push(fact(name.clone(), value)),
        }
    }
    facts
}

fn fact(name: String, value: &Value) -> FactView {
    let value = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    };
    FactView { name, value }
}

/// Links of the resource, which has this title where it says none, and of what it lists: what they are called, and
/// where they lead.
fn links_of(said: &Value, title: &str) -> Vec<(String, String)> {
    let listed = said["collections"].as_array().into_iter().flatten();
    std::iter::once(said)
        .chain(listed)
        .flat_map(|resource| {
            let title = resource["title"].as_str().unwrap_or(title);
            resource["links"].as_array().into_iter().flatten().map(move |link| (title, link))
        })
        .filter_map(|(title, link)| {
            let (rel, href) = (link["rel"].as_str()?, link["href"].as_str()?);
            let kind = link["type"].as_str().unwrap_or_default();
            let rel = rel.rsplit('/').next().unwrap_or(rel);
            let said = link["title"].as_str().unwrap_or(title);
            Some((format!("{said} · {rel} · {kind}"), href.to_owned()))
        })
        .collect()
}
