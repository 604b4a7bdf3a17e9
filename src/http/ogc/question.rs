//! What is asked of a collection whose rows can be filtered, understood.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::crs::{CRS84, System, Systems};
use super::params::{Params, Within};
use super::queryables;
use crate::cql2::{Filter, Kind, Schema, ToDegrees};
use crate::domain::Refusal;
use crate::domain::calendar::day_span;
use crate::http::Problem;
use crate::http::forms::shortened;
use crate::layers::{Direction, SortKey, SortedAfter};

/// Parameters beside the properties that can be asked for by name.
pub(super) const PARAMETERS: &[&str] = &[
    "f",
    "limit",
    "offset",
    "bbox",
    "bbox-crs",
    "datetime",
    "crs",
    "filter",
    "filter-lang",
    "filter-crs",
    "sortby",
    "cursor",
];

/// What may stand behind the question mark.
pub(super) fn parameters(schema: &Schema) -> Vec<&str> {
    PARAMETERS.iter().copied().chain(named_fields(schema).map(|(_, name, _)| name)).collect()
}

/// The properties by number, name and kind, without the place.
pub(super) fn named_fields(schema: &Schema) -> impl Iterator<Item = (usize, &str, Kind)> {
    let fields = schema.fields().iter().enumerate();
    fields
        .filter(|(_, field)| !field.kind.is_place())
        .map(|(at, field)| (at, field.name.as_str(), field.kind))
}

/// The properties by number and name, as they are written.
pub(super) fn written_fields(schema: &Schema) -> Vec<(usize, &str)> {
    named_fields(schema).map(|(at, name, _)| (at, name)).collect()
}

/// The page that follows another one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cursor<K> {
    /// Behind a row in the order of their keys.
    Place(K),
    Sorted(SortedAfter<K>),
}

impl<K: Serialize + DeserializeOwned> Cursor<K> {
    pub(super) fn write(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a cursor is plain data"))
    }

    fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// What is asked, understood.
pub(super) struct Question<K> {
    pub(super) limit: usize,
    pub(super) offset: usize,
    pub(super) within: Option<Within>,
    pub(super) filter: Option<Filter>,
    pub(super) times: Option<Times>,
    pub(super) order: Vec<SortKey>,
    pub(super) cursor: Option<Cursor<K>>,
    pub(super) system: System,
}

impl<K: Serialize + DeserializeOwned> Question<K> {
    pub(super) fn read(
        params: &Params,
        systems: &Systems,
        schema: &Schema,
        utc_offset_minutes: i32,
    ) -> Result<Self, Problem> {
        let order = sort_keys(params.get("sortby"), schema)?;
        let cursor = match params.get("cursor") {
            None => None,
            Some(text) => match (Cursor::read(text), order.is_empty()) {
                (Some(cursor @ Cursor::Place(_)), true) | (Some(cursor @ Cursor::Sorted(_)), false) => {
                    Some(cursor)
                }
                _ => return Err(Problem::bad_request(Refusal::new("ogc.cursor"))),
            },
        };
        Ok(Self {
            limit: params.limit()?,
            offset: params.offset()?,
            within: params.bbox(systems)?,
            filter: filter(params, systems, schema)?,
            times: Times::read(params.get("datetime"), utc_offset_minutes)?,
            order,
            cursor,
            system: params.system("crs", systems)?,
        })
    }
}

/// The filter, and each property that is asked for by name: all must hold.
fn filter(params: &Params, systems: &Systems, schema: &Schema) -> Result<Option<Filter>, Problem> {
    let system = params.system("filter-crs", systems)?;
    let to_degrees = |first: f64, second: f64| {
        let (east, north) = system.east_north(first, second);
        system.to_degrees(east, north)
    };
    let to_degrees: Option<ToDegrees<'_>> = if system.uri() == CRS84 { None } else { Some(&to_degrees) };
    let language = params.get("filter-lang").unwrap_or("cql2-text");
    let given = match (params.get("filter"), language) {
        (None, "cql2-text" | "cql2-json") => None,
        (Some(text), "cql2-text") => Some(Filter::from_text(text, schema, to_degrees)),
        (Some(text), "cql2-json") => Some(Filter::from_json(text, schema, to_degrees)),
        (_, other) => {
            let refusal = Refusal::new("ogc.filter_lang").with("read", shortened(other));
            return Err(Problem::bad_request(refusal.with("fits", "cql2-text, cql2-json")));
        }
    };
    let mut whole = given.transpose().map_err(Problem::bad_request)?;
    for (_, name, kind) in named_fields(schema) {
        let Some(value) = params.get(name) else { continue };
        let equal = queryables::equal(name, kind, value)?;
        let equal = Filter::from_json(&equal.to_string(), schema, None).map_err(Problem::bad_request)?;
        whole = Some(match whole {
            None => equal,
            Some(others) => others.and(equal),
        });
    }
    Ok(whole)
}

/// `sortby=+road,-completeness`; a plus in an address may come as a blank.
fn sort_keys(text: Option<&str>, schema: &Schema) -> Result<Vec<SortKey>, Problem> {
    text.into_iter()
        .flat_map(|text| text.split(','))
        .map(|part| {
            let part = part.trim();
            let (name, direction) = match part.strip_prefix('-') {
                Some(name) => (name, Direction::Falling),
                None => (part.trim_start_matches('+'), Direction::Rising),
            };
            let sortable = || named_fields(schema).filter(|(.., kind)| *kind != Kind::TextList);
            let field = sortable().find(|(_, known, _)| *known == name);
            field.map(|(field, ..)| SortKey { field, direction }).ok_or_else(|| {
                let fits: Vec<&str> = sortable().map(|(_, name, _)| name).collect();
                let refusal = Refusal::new("ogc.sortby").with("read", shortened(part));
                Problem::bad_request(refusal.with("fits", fits.join(", ")))
            })
        })
        .collect()
}

/// Milliseconds from and until, both included; `None` = open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    from: Option<i64>,
    until: Option<i64>,
}

impl Times {
    /// A day, a moment, or an interval `a/b` of which either end may be open (`..` or nothing).
    fn read(text: Option<&str>, utc_offset_minutes: i32) -> Result<Option<Self>, Problem> {
        let Some(text) = text else { return Ok(None) };
        let wrong = || Problem::bad_request(Refusal::new("ogc.datetime").with("read", shortened(text)));
        let end = |part: &str| match part {
            "" | ".." => Ok(None),
            part => span_of(part, utc_offset_minutes).map(Some).ok_or_else(wrong),
        };
        let (first, last) = match text.split_once('/') {
            None => {
                let span = span_of(text, utc_offset_minutes).ok_or_else(wrong)?;
                (Some(span), Some(span))
            }
            Some((from, until)) => (end(from)?, end(until)?),
        };
        let times = Self { from: first.map(|(from, _)| from), until: last.map(|(_, until)| until) };
        match times {
            Self { from: Some(from), until: Some(until) } if from > until => Err(wrong()),
            times => Ok(Some(times)),
        }
    }

    /// Whether something lies in it that was from a moment until another one. What has no time fits every interval.
    pub(super) fn meet(self, span: Option<(i64, i64)>) -> bool {
        span.is_none_or(|(from, until)| {
            self.from.is_none_or(|first| first <= until) && self.until.is_none_or(|last| from <= last)
        })
    }
}

/// The milliseconds of a day on the city's clock, or of a moment with its zone, as RFC 3339 writes them.
fn span_of(text: &str, utc_offset_minutes: i32) -> Option<(i64, i64)> {
    use time::format_description::well_known::{Iso8601, Rfc3339};
    if text.len() == 10 {
        let day = time::Date::parse(text, &Iso8601::DATE).ok()?.to_julian_day();
        let first = time::Date::from_ordinal_date(1970, 1).ok()?.to_julian_day();
        return Some(day_span(day - first, utc_offset_minutes));
    }
    let at = time::OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    let at = i64::try_from(at.div_euclid(1_000_000)).ok()?;
    Some((at, at))
}
