//! The API definition that clients of OGC API – Features read: OpenAPI 3.0 of these addresses alone, with every
//! parameter that is taken. `openapi.yaml` describes the whole server.

use serde_json::{Map, Value, json};

use super::crs::{CRS84, Systems};
use super::params::{MOST, USUAL};
use super::{Asking, Collection, queryables, question};
use crate::domain::edit::RetireReason;
use crate::http::AppState;
use crate::messages::Catalogue;

pub(super) const MEDIA_TYPE: &str = "application/vnd.oai.openapi+json;version=3.0";

pub(super) fn write(state: &AppState, asking: &Asking) -> Value {
    let words = asking.words();
    let systems = Systems::of(state);
    let title = asking.title(state);
    let mut paths = Map::new();
    for (path, id, summary, media_type) in [
        ("/", "getLandingPage", "ogc.title_plain", "application/json"),
        ("/api", "getApiDefinition", "ogc.service_desc", MEDIA_TYPE),
        ("/conformance", "getConformance", "ogc.conformance", "application/json"),
        ("/functions", "listFunctions", "ogc.functions", "application/json"),
        ("/collections", "listCollections", "ogc.collections", "application/json"),
    ] {
        paths.insert(path.into(), get(id, words.text(summary), media_type, vec![parameter_ref("f")], false));
    }
    for collection in Collection::visible_to(asking.is_staff()) {
        let id = collection.id();
        let name = words.word("ogc_collection", id);
        let at = |tail: &str| format!("/collections/{id}{tail}");
        let form = || vec![parameter_ref("f")];
        paths.insert(at(""), get(&format!("describe_{id}"), &name, "application/json", form(), false));
        paths.insert(
            at("/queryables"),
            get(
                &format!("getQueryables_{id}"),
                words.text("ogc.queryables"),
                "application/schema+json",
                form(),
                false,
            ),
        );
        let listed = item_parameters(state, asking, collection);
        let mut features = get(&format!("getFeatures_{id}"), &name, "application/geo+json", listed, true);
        let one = vec![
            json!({"name": "featureId", "in": "path", "required": true, "schema": {"type": "string"},
                "description": words.text("ogc.feature_id")}),
            parameter_ref("f"),
            parameter_ref("crs"),
        ];
        let mut operation =
            get(&format!("getFeature_{id}"), words.text("ogc.feature"), "application/geo+json", one, true);
        operation["get"]["responses"]["404"] = response_ref("Problem");
        if collection == Collection::Covers {
            operation["get"]["responses"]["308"] = json!({"description": words.text("ogc.moved")});
            add_changes(&mut features, &mut operation, words);
        }
        paths.insert(at("/items"), features);
        paths.insert(at("/items/{featureId}"), operation);
    }
    json!({
        "openapi": "3.0.3",
        "info": {"title": title, "description": words.text("ogc.lead"), "version": env!("CARGO_PKG_VERSION")},
        "servers": [{"url": format!("{}/ogc", asking.base)}],
        "paths": paths,
        "components": {"parameters": shared_parameters(&systems), "responses": {"Problem": {
            "description": words.text("ogc.problem"),
            "content": {"application/problem+json": {"schema": {"type": "object"}}}
        }}},
    })
}

fn get(id: &str, summary: &str, media_type: &str, parameters: Vec<Value>, has_system: bool) -> Value {
    let mut answer = json!({"description": summary,
        "content": {media_type: {"schema": {"type": "object"}}, "text/html": {"schema": {"type": "string"}}}});
    if has_system {
        answer["headers"] = json!({"Content-Crs": {"schema": {"type": "string"}}});
    }
    json!({"get": {"operationId": id, "summary": summary, "parameters": parameters, "responses": {
        "200": answer, "400": response_ref("Problem"), "401": response_ref("Problem"), "500": response_ref("Problem")}}})
}

/// Part 4, for those who may change covers.
fn add_changes(features: &mut Value, feature: &mut Value, words: &Catalogue) {
    let id = feature["get"]["parameters"][0].clone();
    let query = |name: &str, schema: Value| {
        json!({"name": name, "in": "query", "required": false, "schema": schema,
            "description": words.text(&format!("ogc.{name}"))})
    };
    let header =
        |name: &str| json!({"name": name, "in": "header", "required": false, "schema": {"type": "string"}});
    let reason = || query("reason", json!({"type": "string"}));
    let change = |name: &str, key: &str, media_type: Option<&str>, parameters: Vec<Value>, status: &str| {
        let mut operation = json!({"operationId": name, "summary": words.text(key), "parameters": parameters,
            "responses": {status: {"description": words.text(key)}}});
        if let Some(media_type) = media_type {
            operation["requestBody"] =
                json!({"required": true, "content": {media_type: {"schema": {"type": "object"}}}});
        }
        for refused in ["400", "401", "403", "404", "409", "412", "415", "422", "428"] {
            operation["responses"][refused] = response_ref("Problem");
        }
        operation
    };
    let geojson = Some("application/geo+json");
    let crs = || header("Content-Crs");
    let one = |more: Vec<Value>| [vec![id.clone(), header("If-Match")], more].concat();
    features["post"] = change("createFeature", "ogc.created", geojson, vec![crs(), reason()], "201");
    feature["put"] = change("replaceFeature", "ogc.replaced", geojson, one(vec![crs(), reason()]), "200");
    let patch = Some("application/merge-patch+json");
    feature["patch"] = change("updateFeature", "ogc.updated", patch, one(vec![crs(), reason()]), "200");
    let reasons = query("retire_reason", json!({"type": "string", "enum": RetireReason::WORDS}));
    feature["delete"] = change("retireFeature", "ogc.retired", None, one(vec![reasons, reason()]), "204");
}

fn parameter_ref(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn response_ref(name: &str) -> Value {
    json!({"$ref": format!("#/components/responses/{name}")})
}

/// What may be asked of the features of a collection: the parameters that all share, and each property by name.
fn item_parameters(state: &AppState, asking: &Asking, collection: Collection) -> Vec<Value> {
    let schema = queryables::schema(state, collection, asking.is_staff());
    let shared = question::PARAMETERS.iter().map(|name| parameter_ref(name));
    let named = question::named_fields(&schema).map(|(_, name, kind)| {
        property(name, queryables::schema_of(kind), &queryables::title(asking, collection, name))
    });
    shared.chain(named).collect()
}

fn property(name: &str, schema: Value, title: &str) -> Value {
    json!({"name": name, "in": "query", "required": false, "description": title, "schema": schema,
        "style": "form", "explode": false})
}

fn shared_parameters(systems: &Systems) -> Value {
    let query = |name: &str, schema: Value| {
        json!({"name": name, "in": "query", "required": false, "schema": schema,
        "style": "form", "explode": false})
    };
    let uri = json!({"type": "string", "format": "uri", "enum": systems.uris(), "default": CRS84});
    let text = || json!({"type": "string"});
    json!({
        "f": query("f", json!({"type": "string", "enum": ["json", "html"]})),
        "limit": query("limit", json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL})),
        "offset": query("offset", json!({"type": "integer", "minimum": 0, "default": 0})),
        "bbox": query("bbox", json!({"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}})),
        "bbox-crs": query("bbox-crs", uri.clone()),
        "datetime": query("datetime", text()),
        "crs": query("crs", uri.clone()),
        "filter": query("filter", text()),
        "filter-lang": query("filter-lang",
            json!({"type": "string", "enum": ["cql2-text", "cql2-json"], "default": "cql2-text"})),
        "filter-crs": query("filter-crs", uri),
        "sortby": query("sortby", json!({"type": "array", "minItems": 1, "items": {"type": "string",
            "pattern": "[+|-]?[A-Za-z_].*"}})),
        "cursor": query("cursor", text()),
    })
}
