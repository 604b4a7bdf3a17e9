//! What changed on the map between two moments: covers that came, went, were moved or are something else, page by page, as
//! JSON for the map page and as GeoJSON for map programs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::api_map::{private, read_cursor, write_cursor};
use super::ask::Asked;
use super::cover_query::limit;
use super::forms::shortened;
use super::map_query::{MapQuery, said};
use super::past_maps::{MapOf, Moment};
use super::{AppState, Problem};
use crate::cql2;
use crate::domain::Refusal;
use crate::domain::ids::CoverId;
use crate::layers::{CoverReader, DiffKind, Difference, differences};
use crate::registry::{ChangeKind, RegistryError};

const PAGE: i64 = 200;
const MOST: i64 = 2000;
/// A map program reads a file at once.
const MOST_FEATURES: i64 = 20_000;
/// A list longer than this (40 MB) is made anew for each page.
const KEPT: usize = 200_000;
const CHANGES: i64 = 10_000;

/// The list that was made last, for its next pages and other filters.
#[derive(Default)]
pub(super) struct LastDiff(Mutex<Option<(DiffKey, Arc<Vec<Difference>>)>>);

/// Two moments and the versions of the maps.
type DiffKey = [(Moment, i64); 2];

/// `from`, `to` and `f`; everything else as the map's own filters.
pub(super) async fn diff(
    State(state): State<AppState>,
    Asked(mut asked): Asked<BTreeMap<String, String>>,
) -> Result<Response, Problem> {
    let (from, to, format) = (asked.remove("from"), asked.remove("to"), asked.remove("f"));
    let is_geojson = match format.as_deref() {
        None | Some("json") => false,
        Some("geojson") => true,
        Some(other) => {
            let refusal = Refusal::new("map.diff_format").at("f").with("read", shortened(other));
            return Err(Problem::bad_request(refusal));
        }
    };
    let query: MapQuery = serde_json::from_value(json!(asked))
        .map_err(|error| Problem::bad_request(Refusal::new("http.query").with("reason", error)))?;
    query.refuse_moment()?;
    if said(&from).is_none() {
        let missing = Refusal::new("form.missing").at("from").with("field", "from");
        return Err(Problem::bad_request(missing));
    }
    let read = |field, text| Moment::read(&state, field, text).map_err(Problem::bad_request);
    let moments = [read("from", &from)?, read("to", &to)?];
    if moments[0] > moments[1] {
        return Err(Problem::bad_request(Refusal::new("map.diff_order").at("to")));
    }
    let filter = query.filter(&state, true)?;
    let (usual, most) = if is_geojson { (MOST_FEATURES, MOST_FEATURES) } else { (PAGE, MOST) };
    let many = limit(said(&query.limit), usual, most).map_err(Problem::bad_request)?;
    let after = match said(&query.cursor) {
        None => None,
        Some(text) => {
            Some(read_cursor(text).ok_or_else(|| Problem::bad_request(Refusal::new("ogc.cursor")))?)
        }
    };
    let maps = [state.map_of(moments[0]).await?, state.map_of(moments[1]).await?];
    let among = touched(&state, &maps).await?;
    let written = tokio::task::spawn_blocking(move || {
        let reader = CoverReader::new(maps[1].map(), &state.config.quality, true);
        let key = [0, 1].map(|at| (moments[at], maps[at].map().version()));
        let list = list(&state, &reader, key, &maps, &among);
        let filter = filter.map(|filter| filter.prepare(&reader));
        let meant = |one: &&Difference| filter.as_ref().is_none_or(|filter| one.is_meant(&reader, filter));
        let mut counts = [0_u64; DiffKind::ALL.len()];
        let mut page: Vec<&Difference> = Vec::new();
        let many = usize::try_from(many).unwrap_or(1);
        for one in list.iter().filter(meant) {
            counts[one.kind as usize] += 1;
            if page.len() <= many && after.is_none_or(|after| one.key() > Some(after)) {
                page.push(one);
            }
        }
        let next = page.get(many).and_then(|_| page.get(many - 1)?.row().map(write_cursor));
        let counts: Map<String, Value> =
            DiffKind::ALL.iter().map(|kind| (kind.to_string(), json!(counts[*kind as usize]))).collect();
        let shown = page.iter().take(many);
        let written =
            Written { counts, next, moments: [at_of(&state, moments[0]), at_of(&state, moments[1])] };
        if is_geojson {
            written.collection(shown.map(|one| feature(&reader, one)).collect())
        } else {
            written.page(shown.map(|one| change(&reader, one)).collect())
        }
    });
    let text = written.await.map_err(|_| Problem::broken())?;
    if is_geojson {
        let headers =
            [(header::CONTENT_TYPE, "application/geo+json"), (header::CACHE_CONTROL, "private, no-store")];
        return Ok((headers, text).into_response());
    }
    Ok(private(text))
}

/// Covers that may differ: those that differ from the maps of which these were made, and what the feed told between those.
async fn touched(state: &AppState, maps: &[MapOf; 2]) -> Result<Vec<CoverId>, RegistryError> {
    let mut all: Vec<CoverId> = maps.iter().flat_map(|map| map.touched()).copied().collect();
    let versions = [maps[0].map().version(), maps[1].map().version()];
    let (mut known, newest) = (versions[0].min(versions[1]), versions[0].max(versions[1]));
    while known < newest {
        let page = state.registry.changes_since(known, CHANGES).await?;
        let Some(last) = page.last() else { break };
        known = last.sequence;
        let covers = page.iter().filter(|change| change.kind == ChangeKind::Cover);
        all.extend(covers.map(|change| CoverId(change.id)));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn list(
    state: &AppState,
    reader: &CoverReader<'_>,
    key: DiffKey,
    maps: &[MapOf; 2],
    among: &[CoverId],
) -> Arc<Vec<Difference>> {
    let mut last = state.shared.last_diff.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, list)) = last.as_ref()
        && *known == key
    {
        return list.clone();
    }
    let list = Arc::new(differences(reader, (maps[0].map(), maps[1].map()), among));
    *last = (list.len() <= KEPT).then(|| (key, list.clone()));
    list
}

/// The moment as it is told; of now it is this one.
fn at_of(state: &AppState, moment: Moment) -> String {
    match moment {
        Moment::Past(at) => at.to_rfc3339(),
        Moment::Now => state.registry.now().to_rfc3339(),
    }
}

/// What stands around the changes.
struct Written {
    counts: Map<String, Value>,
    next: Option<String>,
    moments: [String; 2],
}

impl Written {
    fn page(self, changes: Vec<Value>) -> String {
        let [from, to] = self.moments;
        json!({"from": from, "to": to, "counts": self.counts, "changes": changes, "next": self.next})
            .to_string()
    }

    fn collection(self, features: Vec<Value>) -> String {
        let [from, to] = self.moments;
        let mut all = json!({"type": "FeatureCollection", "from": from, "to": to, "counts": self.counts,
            "features": features});
        if let Some(next) = self.next {
            all["next"] = json!(next);
        }
        all.to_string()
    }
}

/// What names a cover on a list.
fn named(reader: &CoverReader<'_>, one: &Difference) -> Map<String, Value> {
    let mut said = Map::new();
    let Some(row) = one.row() else { return said };
    let view = reader.view(*row);
    let words = reader.words();
    said.insert("kind".into(), json!(one.kind));
    said.insert("id".into(), json!(row.cover));
    said.insert("code".into(), json!(view.code()));
    said.insert("class".into(), json!(row.class));
    said.insert("state".into(), json!(row.state));
    said.insert("district".into(), json!(words.district(row.attributes.district)));
    said.insert("road".into(), json!(words.road(row.attributes.road)));
    if let Some(distance_m) = one.distance_m() {
        said.insert("distance_m".into(), json!((distance_m * 1000.0).round() / 1000.0));
    }
    said
}

fn change(reader: &CoverReader<'_>, one: &Difference) -> Value {
    let mut said = named(reader, one);
    if let Some(row) = one.row() {
        said.insert("lon".into(), json!(row.lon));
        said.insert("lat".into(), json!(row.lat));
    }
    if let Some(was) = one.before.filter(|_| one.kind == DiffKind::Moved) {
        said.insert("was_at".into(), json!({"lon": was.lon, "lat": was.lat}));
    }
    let mut fields = Map::new();
    one.fields(reader, |field, before, after| {
        fields.insert(field.as_str().to_owned(), json!({"before": plain(before), "after": plain(after)}));
    });
    if !fields.is_empty() {
        said.insert("fields".into(), Value::Object(fields));
    }
    Value::Object(said)
}

/// A move is a line from the old place to the new one, everything else a point.
fn feature(reader: &CoverReader<'_>, one: &Difference) -> Value {
    let mut properties = named(reader, one);
    let id = properties.remove("id");
    let mut changed: Vec<&str> = Vec::new();
    one.fields(reader, |field, before, after| {
        changed.push(field.as_str());
        properties.insert(format!("{}_before", field.as_str()), plain(before));
        properties.insert(format!("{}_after", field.as_str()), plain(after));
    });
    if !changed.is_empty() {
        properties.insert("changed".into(), json!(changed.join(", ")));
    }
    let geometry = match (one.kind, one.before, one.after, one.row()) {
        (DiffKind::Moved, Some(was), Some(is), _) => {
            json!({"type": "LineString", "coordinates": [[was.lon, was.lat], [is.lon, is.lat]]})
        }
        (.., Some(row)) => json!({"type": "Point", "coordinates": [row.lon, row.lat]}),
        _ => Value::Null,
    };
    json!({"type": "Feature", "id": id, "geometry": geometry, "properties": properties})
}

/// A value of a row in JSON.
fn plain(value: &cql2::Value<'_>) -> Value {
    /// Julian day of 1970-01-01.
    const EPOCH: i32 = 2_440_588;
    match value {
        cql2::Value::Text(text) => json!(text),
        // The numbers among the fields of a cover are whole.
        cql2::Value::Number(number) => json!(*number as i64),
        cql2::Value::Boolean(yes) => json!(yes),
        cql2::Value::Date(day) => {
            let day = day.checked_add(EPOCH).and_then(|day| time::Date::from_julian_day(day).ok());
            json!(day.map(|day| day.to_string()))
        }
        cql2::Value::Null
        | cql2::Value::Timestamp(_)
        | cql2::Value::Point(..)
        | cql2::Value::Figure(_)
        | cql2::Value::TextList(_) => Value::Null,
    }
}
