//! What a filter may name, as a JSON schema (OGC API – Features Part 3).

use serde_json::{Map, Value, json};

use super::features::Links;
use super::{Asking, Collection, districts};
use crate::cql2::{Kind, Schema};
use crate::domain::Refusal;
use crate::http::forms::shortened;
use crate::http::{AppState, Problem};
use crate::layers::{cover_schema, table_schema};

/// What a filter may name of the features of a collection.
pub(super) fn schema(state: &AppState, collection: Collection, is_staff: bool) -> Schema {
    let utc_offset = state.config.utc_offset_minutes;
    match collection {
        Collection::Covers => cover_schema(is_staff, utc_offset),
        Collection::Table(layer) => table_schema(layer, is_staff, utc_offset),
        Collection::Districts => districts::schema(),
    }
}

/// What a property is called, for people.
pub(super) fn title(asking: &Asking, collection: Collection, name: &str) -> String {
    let table = if collection == Collection::Districts { "ogc_district" } else { "layer_field" };
    asking.words().word(table, name)
}

pub(super) fn describe(state: &AppState, asking: &Asking, collection: Collection) -> Value {
    let words = asking.words();
    let path = format!("/ogc/collections/{}/queryables", collection.id());
    let mut properties = Map::new();
    for field in schema(state, collection, asking.is_staff()).fields() {
        let mut said = schema_of(field.kind);
        said["title"] = title(asking, collection, &field.name).into();
        properties.insert(field.name.clone(), said);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("{}{path}", asking.base),
        "type": "object",
        "title": words.word("ogc_collection", collection.id()),
        "properties": properties,
        "additionalProperties": false,
        "links": Links::plain(&asking.base, &path).own("application/schema+json"),
    })
}

/// What values of a kind look like.
pub(super) fn schema_of(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Word(words) => json!({"type": "string", "enum": words}),
        Kind::Number => json!({"type": "number"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Timestamp => json!({"type": "string", "format": "date-time"}),
        Kind::Point => json!({"format": "geometry-point"}),
        Kind::Areas => json!({"format": "geometry-multipolygon"}),
        Kind::TextList => json!({"type": "array", "items": {"type": "string"}}),
    }
}

/// `name=value` of an address as a condition in CQL2 JSON.
pub(super) fn equal(name: &str, kind: Kind, value: &str) -> Result<Value, Problem> {
    let wrong = || {
        let refusal = Refusal::new("ogc.value").with("field", name).with("read", shortened(value));
        Problem::bad_request(refusal.with("fits", schema_of(kind)["type"].as_str().unwrap_or("string")))
    };
    let literal = match kind {
        Kind::Number | Kind::Integer => {
            let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
            json!(number.ok_or_else(wrong)?)
        }
        Kind::Boolean => json!(value.parse::<bool>().map_err(|_| wrong())?),
        Kind::Date => json!({"date": value}),
        Kind::Timestamp => json!({"timestamp": value}),
        Kind::Text | Kind::Word(_) | Kind::Point | Kind::Areas => json!(value),
        // It has the word, whatever others it has.
        Kind::TextList => return Ok(json!({"op": "a_contains", "args": [{"property": name}, [value]]})),
    };
    Ok(json!({"op": "=", "args": [{"property": name}, literal]}))
}
