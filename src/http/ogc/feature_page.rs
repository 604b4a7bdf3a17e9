//! Features as answers: a page of them, and one of them, as GeoJSON or for a browser.

use std::fmt::Write;

use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use super::crs::System;
use super::features::{self, Media, with_system};
use super::params::Params;
use super::{Asking, Collection, pages, queryables};
use crate::cql2::{self, Row};
use crate::domain::area::Area;
use crate::http::AppState;
use crate::http::views::SmallMap;

/// A row as somebody sees it.
pub(super) trait Feature: Row {
    fn id(&self) -> String;
    /// Degrees; `None` lies nowhere, or at more than a point.
    fn place(&self) -> Option<(f64, f64)>;

    /// Its geometry in GeoJSON.
    fn write_geometry(&self, out: &mut String, system: &System) {
        match self.place() {
            Some(place) => features::write_point(out, place, system),
            None => out.push_str("null"),
        }
    }

    /// The area that it is, where it is one.
    fn area(&self) -> Option<&Area> {
        None
    }
}

/// What was found for a page.
pub(super) struct Found<F> {
    pub(super) features: Vec<F>,
    pub(super) matched: usize,
    /// Cursor of the page behind this one.
    pub(super) next: Option<String>,
}

/// How features are written: which collection they are of, which properties they have, by number and name, and the
/// system of their coordinates.
pub(super) struct Writing<'w> {
    pub(super) collection: Collection,
    pub(super) fields: &'w [(usize, &'w str)],
    pub(super) system: &'w System,
}

impl Writing<'_> {
    pub(super) fn page<F: Feature>(&self, state: &AppState, asking: &Asking, found: &Found<F>) -> Response {
        let around = self.around(state, asking, found);
        let response = match asking.media {
            Media::Json => {
                let mut out = around.to_string();
                out.reserve(found.features.len() * 400);
                // The features take the place of the closing brace.
                out.pop();
                out.push_str(",\"features\":[");
                for (at, feature) in found.features.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    self.write(&mut out, feature);
                }
                out.push_str("]}");
                asking.dressed("application/geo+json", out.into_response())
            }
            Media::Html => {
                // A row leads to its feature by its first cell.
                let is_named = found.features.first().is_none_or(|first| self.shown(first, 0) == first.id());
                let heads: Vec<String> = (!is_named)
                    .then(|| "id".to_owned())
                    .into_iter()
                    .chain(self.fields.iter().map(|(_, name)| self.head(asking, name)))
                    .collect();
                let cells = |feature: &F| {
                    let id = (!is_named).then(|| feature.id());
                    id.into_iter().chain((0..self.fields.len()).map(|at| self.shown(feature, at))).collect()
                };
                let rows: Vec<Vec<String>> = found.features.iter().map(cells).collect();
                let page = asking.reader.page(state, asking.session());
                let html =
                    pages::features(&page, self.collection, &around, &heads, &rows, map_of(&found.features));
                asking.dressed("text/html; charset=utf-8", Html(html).into_response())
            }
        };
        with_system(response, self.system)
    }

    fn around<F>(&self, state: &AppState, asking: &Asking, found: &Found<F>) -> Value {
        let collection = self.collection.id();
        let path = format!("/ogc/collections/{collection}/items");
        let mut links = asking.links(&path).own("application/geo+json");
        if let Some(next) = &found.next {
            let mut next = Params::default().with("cursor", Some(next));
            let others = asking.params.without(&["cursor", "offset", "f"]);
            if !others.is_empty() {
                next = format!("{others}&{next}");
            }
            for (media_type, form) in [("application/geo+json", "json"), ("text/html", "html")] {
                let href = format!("{}{path}?{next}&f={form}", asking.base);
                links.push(json!({"rel": "next", "type": media_type, "href": href}));
            }
        }
        links.push(asking.link_to(self.collection));
        json!({"type": "FeatureCollection", "timeStamp": state.registry.now().to_rfc3339(),
            "numberMatched": found.matched, "numberReturned": found.features.len(), "links": links})
    }

    /// One feature. The tag of what it says is given by whoever knows a better one than its bytes.
    pub(super) fn one<F: Feature>(
        &self,
        state: &AppState,
        asking: &Asking,
        feature: &F,
        tag: Option<i64>,
    ) -> Response {
        let id = feature.id();
        let response = match asking.media {
            Media::Json => {
                let mut out = self.text(feature);
                out.pop();
                let tag = tag
                    .map_or_else(|| crate::tiles::etag(out.as_bytes()), |version| format!("\"{version}\""));
                let path = format!("/ogc/collections/{}/items/{id}", self.collection.id());
                let mut links = asking.links(&path).own("application/geo+json");
                links.push(asking.link_to(self.collection));
                write!(out, ",\"links\":{}}}", Value::from(links)).expect("a String takes all text");
                let mut response = asking.dressed("application/geo+json", out.into_response());
                if let Ok(tag) = HeaderValue::try_from(tag) {
                    response.headers_mut().insert(header::ETAG, tag);
                }
                response
            }
            Media::Html => {
                let facts: Vec<(String, String)> = self
                    .fields
                    .iter()
                    .enumerate()
                    .map(|(at, (_, name))| (self.head(asking, name), self.shown(feature, at)))
                    .collect();
                let page = asking.reader.page(state, asking.session());
                let map = map_of(std::slice::from_ref(feature));
                let html = pages::feature(&page, self.collection, &id, facts, map);
                asking.dressed("text/html; charset=utf-8", Html(html).into_response())
            }
        };
        with_system(response, self.system)
    }

    /// What a page calls a property: in words, and as filters name it.
    fn head(&self, asking: &Asking, name: &str) -> String {
        format!("{} · {name}", queryables::title(asking, self.collection, name))
    }

    /// A value as a page shows it.
    fn shown(&self, feature: &impl Feature, at: usize) -> String {
        let mut text = String::new();
        match feature.value(self.fields[at].0) {
            cql2::Value::Null => {}
            cql2::Value::Text(word) => text.push_str(&word),
            cql2::Value::TextList(words) => text.push_str(&words.join(" ")),
            value => features::write_value(&mut text, &value, self.system),
        }
        text.trim_matches('"').to_owned()
    }

    /// A feature in GeoJSON.
    pub(super) fn text(&self, feature: &impl Feature) -> String {
        let mut out = String::with_capacity(1024);
        self.write(&mut out, feature);
        out
    }

    fn write(&self, out: &mut String, feature: &impl Feature) {
        out.push_str("{\"type\":\"Feature\",\"id\":");
        features::write_text(out, &feature.id());
        out.push_str(",\"geometry\":");
        feature.write_geometry(out, self.system);
        out.push_str(",\"properties\":{");
        for (at, (field, name)) in self.fields.iter().enumerate() {
            out.push_str(if at > 0 { ",\"" } else { "\"" });
            out.push_str(name);
            out.push_str("\":");
            features::write_value(out, &feature.value(*field), self.system);
        }
        out.push_str("}}");
    }
}

/// Features on a small map; `None` where none lies anywhere.
fn map_of(features: &[impl Feature]) -> Option<SmallMap> {
    let areas: Vec<&Area> = features.iter().filter_map(Feature::area).collect();
    let places: Vec<[f64; 2]> = features.iter().filter_map(|one| one.place().map(Into::into)).collect();
    SmallMap::of_areas(&areas).or_else(|| SmallMap::of_places(&places))
}
