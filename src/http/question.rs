//! What the questions of the map have in common: their own parameters beside the map's filters, an answer from memory on a
//! thread of its own, and the same answer as JSON or as GeoJSON for map programs.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::api_map::told;
use super::cover_query::limit;
use super::forms::shortened;
use super::map_query::{MapQuery, wrong};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::Millis;
use crate::layers::{CoverReader, CoverSearch};
use crate::outlet::start_of_day;
use crate::spatial::{Snapshot, SnapshotRow};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    GeoJson,
    Gpx,
}

/// A question: its own parameters, and the filters of the map.
pub(super) struct Question {
    own: BTreeMap<String, String>,
    pub filters: MapQuery,
}

impl Question {
    /// Takes the parameters of these names out; `f` and `limit` belong to every question. What is left are filters.
    pub(super) fn of(mut asked: BTreeMap<String, String>, names: &[&str]) -> Result<Self, Problem> {
        let mut own = BTreeMap::new();
        for name in names.iter().copied().chain(["f", "limit"]) {
            own.extend(asked.remove_entry(name));
        }
        let filters = serde_json::from_value(json!(asked))
            .map_err(|error| Problem::bad_request(Refusal::new("http.query").with("reason", error)))?;
        Ok(Self { own, filters })
    }

    /// What stands there; nothing but blanks is nothing.
    pub(super) fn said(&self, name: &str) -> Option<&str> {
        self.own.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    pub(super) fn needed(&self, name: &'static str) -> Result<&str, Problem> {
        let missing = || Problem::bad_request(Refusal::new("form.missing").at(name).with("field", name));
        self.said(name).ok_or_else(missing)
    }

    pub(super) fn number(
        &self,
        name: &'static str,
        usual: f64,
        fits: RangeInclusive<f64>,
    ) -> Result<f64, Problem> {
        let Some(text) = self.said(name) else { return Ok(usual) };
        text.parse::<f64>().ok().filter(|number| fits.contains(number)).ok_or_else(|| {
            let refusal = wrong("question.number", name, text).with("least", fits.start());
            Problem::bad_request(refusal.with("most", fits.end()))
        })
    }

    /// Most rows of the answer.
    pub(super) fn many(&self, usual: i64, most: i64) -> Result<usize, Problem> {
        let many = limit(self.said("limit"), usual, most).map_err(Problem::bad_request)?;
        Ok(usize::try_from(many).unwrap_or(1))
    }

    pub(super) fn word<T: std::str::FromStr<Err = Refusal>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, Problem> {
        let read = self.said(name).map(str::parse::<T>).transpose();
        read.map_err(|refusal| Problem::bad_request(refusal.at(name)))
    }

    pub(super) fn yes(&self, name: &'static str) -> Result<bool, Problem> {
        let Some(text) = self.said(name) else { return Ok(false) };
        text.parse::<bool>().map_err(|_| {
            Problem::bad_request(Refusal::new("form.true_or_false").at(name).with("read", shortened(text)))
        })
    }

    /// Longitude and latitude.
    pub(super) fn place(&self, name: &'static str) -> Result<Option<(f64, f64)>, Problem> {
        let Some(text) = self.said(name) else { return Ok(None) };
        let numbers: Vec<f64> = text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
        match numbers.as_slice() {
            [lon, lat] if text.split(',').count() == 2 && lon.abs() <= 180.0 && lat.abs() <= 90.0 => {
                Ok(Some((*lon, *lat)))
            }
            _ => Err(Problem::bad_request(wrong("question.place", name, text))),
        }
    }

    /// The beginning of a day on the city's clock, so many days after it.
    pub(super) fn day(
        &self,
        state: &AppState,
        name: &'static str,
        days: i64,
    ) -> Result<Option<Millis>, Problem> {
        let offset = state.config.utc_offset_minutes;
        let read = self.said(name).map(|text| start_of_day(name, text, offset, days)).transpose();
        read.map_err(Problem::bad_request)
    }

    pub(super) fn form(&self, fits: &[Form]) -> Result<Form, Problem> {
        let form = match self.said("f") {
            None | Some("json") => Some(Form::Json),
            Some("geojson") => Some(Form::GeoJson),
            Some("gpx") => Some(Form::Gpx),
            Some(_) => None,
        };
        form.filter(|form| fits.contains(form)).ok_or_else(|| {
            let words =
                ["json", "geojson", "gpx"].into_iter().take(fits.len()).collect::<Vec<_>>().join(", ");
            let refusal = wrong("question.form", "f", self.said("f").unwrap_or_default());
            Problem::bad_request(refusal.with("fits", words))
        })
    }
}

/// The forms of most answers; a way has a third one.
pub(super) const FORMS: &[Form] = &[Form::Json, Form::GeoJson];

/// Asks the map about the covers that the filters mean.
pub(super) async fn ask_map<T: Send + 'static>(
    state: &AppState,
    filters: &MapQuery,
    ask: impl FnOnce(&Snapshot, &CoverReader<'_>, &CoverSearch<'_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Problem> {
    if filters.is_of_the_past() {
        return Err(Problem::bad_request(Refusal::new("map.now_only").at("at")));
    }
    let filter = filters.filter(state, true)?;
    let state = state.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let map = state.snapshot.load();
        let reader = CoverReader::new(&map, &state.config.quality, true);
        let filter = filter.as_ref().map(|filter| (filter.prepare(&reader), filter.bounds()));
        let search = CoverSearch::new(&map, &reader, None, filter)?;
        ask(&map, &reader, &search)
    });
    asked.await.map_err(|_| Problem::broken())?.map_err(Problem::bad_request)
}

/// A cover with what a question says of it.
pub(super) fn cover(reader: &CoverReader<'_>, row: &SnapshotRow, more: Value) -> Value {
    let mut cover = told(reader, row);
    if let (Some(all), Value::Object(mut more)) = (cover.as_object_mut(), more) {
        all.append(&mut more);
    }
    cover
}

/// Objects with `lon` and `lat` as points.
pub(super) fn points(objects: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let point = |mut object: Value| {
        let geometry = json!({"type": "Point", "coordinates": [object["lon"], object["lat"]]});
        if let Some(fields) = object.as_object_mut() {
            fields.remove("lon");
            fields.remove("lat");
        }
        feature(geometry, object)
    };
    objects.into_iter().map(point).collect()
}

pub(super) fn feature(geometry: Value, properties: Value) -> Value {
    json!({"type": "Feature", "geometry": geometry, "properties": properties})
}

pub(super) fn collection(features: Vec<Value>) -> Value {
    json!({"type": "FeatureCollection", "features": features})
}

/// Meters to a millimeter.
pub(super) fn millimeters(meters: f64) -> f64 {
    (meters * 1000.0).round() / 1000.0
}

/// Degrees to about a millimeter.
pub(super) fn degrees((lon, lat): (f64, f64)) -> [f64; 2] {
    [lon, lat].map(|degrees| (degrees * 1e8).round() / 1e8)
}

/// What staff see is kept by nobody on the way.
pub(super) fn private(form: Form, said: String) -> Response {
    let media_type = match form {
        Form::Json => "application/json",
        Form::GeoJson => "application/geo+json",
        Form::Gpx => "application/gpx+xml",
    };
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "private, no-store")], said).into_response()
}
