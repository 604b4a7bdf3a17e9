//! The collection `covers`, answered from the map in memory.

use std::fmt::Write;

use axum::response::{Html, IntoResponse, Response};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::crs::{CRS84, System, Systems};
use super::features::{self, Links, Media, with_system};
use super::params::Params;
use super::{Asking, Collection, Incoming, moved, pages, queryables, unknown_feature};
use crate::cql2::{Filter, ToDegrees};
use crate::domain::Refusal;
use crate::domain::ids::Millis;
use crate::http::auth;
use crate::http::forms::shortened;
use crate::http::{AppState, Problem};
use crate::layers::{
    CoverField, CoverKey, CoverReader, CoverSearch, CoverView, Direction, SortKey, SortedAfter, Within,
    cover_schema,
};
use crate::spatial::{Snapshot, SnapshotRow, UNKNOWN_DAY};

/// Parameters beside the properties that can be asked for by name.
const PARAMETERS: &[&str] = &[
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
pub(super) fn parameters(is_staff: bool) -> Vec<&'static str> {
    let named = CoverField::visible_to(is_staff).iter().filter(|field| **field != CoverField::Geometry);
    PARAMETERS.iter().copied().chain(named.map(|field| field.as_str())).collect()
}

/// The page that follows another one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cursor {
    Place(CoverKey),
    Sorted(SortedAfter),
}

impl Cursor {
    fn write(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a cursor is plain data"))
    }

    fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// What is asked, understood.
struct Question {
    limit: usize,
    offset: usize,
    within: Option<super::params::Within>,
    filter: Option<Filter>,
    days: Option<Days>,
    order: Vec<SortKey>,
    cursor: Option<Cursor>,
    system: System,
}

impl Question {
    fn read(
        params: &Params,
        systems: &Systems,
        is_staff: bool,
        utc_offset_minutes: i32,
    ) -> Result<Self, Problem> {
        let order = sort_keys(params.get("sortby"), is_staff)?;
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
            filter: filter(params, systems, is_staff, utc_offset_minutes)?,
            // Without a log-in no cover says when it was surveyed: all of them fit.
            days: Days::read(params.get("datetime"), utc_offset_minutes)?.filter(|_| is_staff),
            order,
            cursor,
            system: params.system("crs", systems)?,
        })
    }
}

/// The filter, and each property that is asked for by name: all must hold.
fn filter(
    params: &Params,
    systems: &Systems,
    is_staff: bool,
    utc_offset_minutes: i32,
) -> Result<Option<Filter>, Problem> {
    let schema = cover_schema(is_staff, utc_offset_minutes);
    let system = params.system("filter-crs", systems)?;
    let to_degrees = |first: f64, second: f64| {
        let (east, north) = system.east_north(first, second);
        system.to_degrees(east, north)
    };
    let to_degrees: Option<ToDegrees<'_>> = if system.uri() == CRS84 { None } else { Some(&to_degrees) };
    let language = params.get("filter-lang").unwrap_or("cql2-text");
    let given = match (params.get("filter"), language) {
        (None, "cql2-text" | "cql2-json") => None,
        (Some(text), "cql2-text") => Some(Filter::from_text(text, &schema, to_degrees)),
        (Some(text), "cql2-json") => Some(Filter::from_json(text, &schema, to_degrees)),
        (_, other) => {
            let refusal = Refusal::new("ogc.filter_lang").with("read", shortened(other));
            return Err(Problem::bad_request(refusal.with("fits", "cql2-text, cql2-json")));
        }
    };
    let mut whole = given.transpose().map_err(Problem::bad_request)?;
    for field in CoverField::visible_to(is_staff) {
        let Some(value) = params.get(field.as_str()).filter(|_| *field != CoverField::Geometry) else {
            continue;
        };
        let equal = queryables::equal(field.as_str(), field.kind(), value)?;
        let equal = Filter::from_json(&equal.to_string(), &schema, None).map_err(Problem::bad_request)?;
        whole = Some(match whole {
            None => equal,
            Some(others) => others.and(equal),
        });
    }
    Ok(whole)
}

/// `sortby=+road,-completeness`; a plus in an address may come as a blank.
fn sort_keys(text: Option<&str>, is_staff: bool) -> Result<Vec<SortKey>, Problem> {
    let visible = CoverField::visible_to(is_staff);
    text.into_iter()
        .flat_map(|text| text.split(','))
        .map(|part| {
            let part = part.trim();
            let (name, direction) = match part.strip_prefix('-') {
                Some(name) => (name, Direction::Falling),
                None => (part.trim_start_matches('+'), Direction::Rising),
            };
            let sortable = || visible.iter().filter(|field| **field != CoverField::Geometry);
            let field = sortable().find(|field| field.as_str() == name);
            field.map(|field| SortKey { field: *field, direction }).ok_or_else(|| {
                let fits: Vec<&str> = sortable().map(|field| field.as_str()).collect();
                let refusal = Refusal::new("ogc.sortby").with("read", shortened(part));
                Problem::bad_request(refusal.with("fits", fits.join(", ")))
            })
        })
        .collect()
}

/// Days from and until, both included; `None` = open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Days {
    from: Option<i32>,
    until: Option<i32>,
}

impl Days {
    /// An instant, or an interval `a/b` of which either end may be open (`..` or nothing).
    fn read(text: Option<&str>, utc_offset_minutes: i32) -> Result<Option<Self>, Problem> {
        let Some(text) = text else { return Ok(None) };
        let wrong = || Problem::bad_request(Refusal::new("ogc.datetime").with("read", shortened(text)));
        let end = |part: &str| match part {
            "" | ".." => Ok(None),
            part => day_of(part, utc_offset_minutes).map(Some).ok_or_else(wrong),
        };
        let days = match text.split_once('/') {
            None => {
                let day = day_of(text, utc_offset_minutes).ok_or_else(wrong)?;
                Self { from: Some(day), until: Some(day) }
            }
            Some((from, until)) => Self { from: end(from)?, until: end(until)? },
        };
        match days {
            Self { from: Some(from), until: Some(until) } if from > until => Err(wrong()),
            days => Ok(Some(days)),
        }
    }

    /// What has no day fits every interval.
    fn holds(self, day: i32) -> bool {
        day == UNKNOWN_DAY
            || (self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until))
    }
}

/// Refuses what is no day and no interval, where nothing has a day.
pub(super) fn check_datetime(params: &Params) -> Result<(), Problem> {
    Days::read(params.get("datetime"), 0).map(drop)
}

/// The day of a date, or of a moment with its zone on the city's clock, as RFC 3339 writes them.
fn day_of(text: &str, utc_offset_minutes: i32) -> Option<i32> {
    use time::format_description::well_known::{Iso8601, Rfc3339};
    let day = match text.len() {
        10 => time::Date::parse(text, &Iso8601::DATE).ok()?,
        _ => {
            let clock = time::UtcOffset::from_whole_seconds(utc_offset_minutes * 60).ok()?;
            time::OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(clock)?.date()
        }
    };
    Some(day.to_julian_day() - time::Date::from_ordinal_date(1970, 1).ok()?.to_julian_day())
}

/// What was found for a page.
struct Found {
    rows: Vec<SnapshotRow>,
    matched: usize,
    next: Option<Cursor>,
}

fn search(map: &Snapshot, reader: &CoverReader<'_>, question: &Question) -> Result<Found, Refusal> {
    let holds = |lon: f64, lat: f64| question.within.as_ref().is_none_or(|within| within.contains(lon, lat));
    let within = question.within.as_ref().map(|within| Within { around: within.around, holds: &holds });
    let filter = question.filter.as_ref().map(|filter| (filter.prepare(reader), filter.bounds()));
    let days = question.days;
    let fits = move |row: &SnapshotRow| days.is_none_or(|days| days.holds(row.attributes.surveyed_on));
    let search = CoverSearch::new(map, reader, within, filter)?.only(days.is_some().then_some(&fits));
    let (limit, offset) = (question.limit, question.offset);
    // One more than asked for tells whether there is a page behind this one.
    let mut rows = match &question.cursor {
        None if question.order.is_empty() => search.page(None, offset, limit + 1),
        Some(Cursor::Place(after)) => search.page(Some(*after), offset, limit + 1),
        None => search.sorted_page(&question.order, None, offset, limit + 1),
        Some(Cursor::Sorted(after)) => search.sorted_page(&question.order, Some(after), offset, limit + 1),
    };
    let matched = search.count();
    let next = (rows.len() > limit).then(|| {
        rows.truncate(limit);
        let last = rows[limit - 1];
        if question.order.is_empty() {
            Cursor::Place(CoverKey::of(&last))
        } else {
            Cursor::Sorted(search.behind(&question.order, last))
        }
    });
    Ok(Found { rows, matched, next })
}

pub(super) async fn items(state: &AppState, incoming: Incoming) -> Result<Response, Problem> {
    let caller = auth::find_reader(state, &incoming.headers).await?;
    let is_staff = caller.is_some();
    let asking = Asking::of_caller(state, incoming, caller, &parameters(is_staff))?;
    let systems = Systems::of(state);
    let offset = state.config.utc_offset_minutes;
    let question = Question::read(&asking.params, &systems, is_staff, offset)?;
    let state = state.clone();
    // A filter may pass over the whole city.
    let written = tokio::task::spawn_blocking(move || {
        let map = state.snapshot.load();
        let reader = CoverReader::new(&map, &state.config.quality, is_staff);
        let found = search(&map, &reader, &question).map_err(Problem::bad_request)?;
        Ok::<_, Problem>(answer(&state, &asking, &question, &reader, &found))
    });
    written.await.map_err(|_| Problem::broken())?
}

fn answer(
    state: &AppState,
    asking: &Asking,
    question: &Question,
    reader: &CoverReader<'_>,
    found: &Found,
) -> Response {
    const PATH: &str = "/ogc/collections/covers/items";
    let mut links = asking.links(PATH).own("application/geo+json");
    if let Some(next) = &found.next {
        let mut next = Params::default().with("cursor", Some(&next.write()));
        let others = asking.params.without(&["cursor", "offset", "f"]);
        if !others.is_empty() {
            next = format!("{others}&{next}");
        }
        for (media_type, form) in [("application/geo+json", "json"), ("text/html", "html")] {
            let href = format!("{}{PATH}?{next}&f={form}", asking.base);
            links.push(json!({"rel": "next", "type": media_type, "href": href}));
        }
    }
    links.push(json!({"rel": "collection", "type": "application/json",
        "href": format!("{}/ogc/collections/covers?f=json", asking.base)}));
    let now = Millis(state.registry.now().0).to_rfc3339();
    let around = json!({"type": "FeatureCollection", "timeStamp": now, "numberMatched": found.matched,
        "numberReturned": found.rows.len(), "links": links});
    let response = match asking.media {
        Media::Json => {
            let mut out = around.to_string();
            out.reserve(found.rows.len() * 400);
            // The features take the place of the closing brace.
            out.pop();
            out.push_str(",\"features\":[");
            for (at, row) in found.rows.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_feature(&mut out, &reader.view(*row), &question.system);
            }
            out.push_str("]}");
            asking.dressed("application/geo+json", out.into_response())
        }
        Media::Html => {
            let page = asking.reader.page(state, asking.session());
            let places: Vec<[f64; 2]> =
                found.rows.iter().map(|row| reader.view(*row).place().into()).collect();
            let fields = &CoverField::visible_to(reader.is_staff())[1..];
            let heads: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
            let rows: Vec<Vec<String>> = found
                .rows
                .iter()
                .map(|row| fields.iter().map(|field| shown(&reader.view(*row), *field)).collect())
                .collect();
            let html = pages::features(&page, Collection::Covers, &around, &heads, &rows, &places);
            asking.dressed("text/html; charset=utf-8", Html(html).into_response())
        }
    };
    with_system(response, &question.system)
}

/// A value as a page shows it.
fn shown(view: &CoverView<'_, '_>, field: CoverField) -> String {
    let mut text = String::new();
    match view.get(field) {
        crate::cql2::Value::Null => {}
        crate::cql2::Value::Text(word) => text.push_str(&word),
        value => features::write_value(&mut text, &value, &System::crs84()),
    }
    text.trim_matches('"').to_owned()
}

fn write_feature(out: &mut String, view: &CoverView<'_, '_>, system: &System) {
    out.push_str("{\"type\":\"Feature\",\"id\":\"");
    let id = view.code();
    out.push_str(&id);
    out.push_str("\",\"geometry\":");
    features::write_point(out, view.place(), system);
    out.push_str(",\"properties\":{");
    for (at, field) in view.properties().iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write!(out, "{comma}\"{}\":", field.as_str()).expect("a String takes all text");
        features::write_value(out, &view.get(*field), system);
    }
    out.push_str("}}");
}

pub(super) async fn item(state: &AppState, asking: &Asking, code: &str) -> Result<Response, Problem> {
    let systems = Systems::of(state);
    let system = asking.params.system("crs", &systems)?;
    let map = state.snapshot.load();
    let Some(row) = map.find_code(code) else {
        // A former code leads to the one of today.
        let file = state.registry.find_cover_by_code(code).await?;
        return match file.filter(|file| file.retired.is_none() && file.code.digits != code) {
            Some(file) => Ok(moved(Collection::Covers, &file.code.digits)),
            None => Err(unknown_feature(code)),
        };
    };
    let reader = CoverReader::new(&map, &state.config.quality, asking.is_staff());
    let view = reader.view(row);
    let path = format!("/ogc/collections/covers/items/{code}");
    let links = Links::new(&asking.base, &path, &asking.params);
    let mut list = links.own("application/geo+json");
    list.push(json!({"rel": "collection", "type": "application/json",
        "href": format!("{}/ogc/collections/covers?f=json", asking.base)}));
    let mut out = String::with_capacity(1024);
    write_feature(&mut out, &view, &system);
    out.pop();
    write!(out, ",\"links\":{}}}", Value::from(list)).expect("a String takes all text");
    let response = match asking.media {
        Media::Json => asking.dressed("application/geo+json", out.into_response()),
        Media::Html => {
            let page = asking.reader.page(state, asking.session());
            let facts: Vec<(&str, String)> =
                view.properties().iter().map(|field| (field.as_str(), shown(&view, *field))).collect();
            let html = pages::feature(&page, Collection::Covers, code, &facts, &[view.place().into()]);
            asking.dressed("text/html; charset=utf-8", Html(html).into_response())
        }
    };
    Ok(with_system(response, &system))
}

/// Where the covers lie and when they were surveyed, as far as somebody may know.
pub(super) fn extent(state: &AppState, is_staff: bool) -> Option<Value> {
    let map = state.snapshot.load();
    let edges = state.shared.extent.of(&map)?;
    let mut extent = json!({"spatial": {"bbox": [edges.place], "crs": CRS84}});
    if let Some((first, last)) = edges.days.filter(|_| is_staff) {
        let day = |day: i32, time: &str| format!("{}{time}", features::date(day));
        extent["temporal"] = json!({"interval": [[day(first, "T00:00:00Z"), day(last, "T23:59:59Z")]]});
    }
    Some(extent)
}
