//! What the engineers' map asks beside its tiles: how many covers a filter means and of what kinds, and which they are.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ask::{Asked, Reader};
use super::cover_query::{UNKNOWN, limit};
use super::map_choice::MapChoice;
use super::map_query::{MapQuery, said};
use super::sparse::{MAP_COVER, Picked, Sparse};
use super::{AppState, Problem};
use crate::cql2::Row;
use crate::domain::Refusal;
use crate::domain::cover::{CoverClass, CoverState, LoadClass, Material, Placement};
use crate::domain::ids::CoverId;
use crate::layers::{CoverField, CoverKey, CoverReader};
use crate::spatial::{BBox, KeyRange, Snapshot, SnapshotRow};

const PAGE: i64 = 200;
const MOST: i64 = 2000;

/// Counts by a property of few words, in the order of its list.
struct Sums {
    name: &'static str,
    field: CoverField,
    words: &'static [&'static str],
    /// The last one counts what is not known.
    counts: Vec<u64>,
}

impl Sums {
    fn of(name: &'static str, field: CoverField, words: &'static [&'static str]) -> Self {
        Self { name, field, words, counts: vec![0; words.len() + 1] }
    }

    fn add(&mut self, row: &impl Row) {
        let last = self.words.len();
        let at = row.term(self.field as usize).map_or(last, |term| (term as usize).min(last));
        self.counts[at] += 1;
    }

    fn said(&self) -> Value {
        let keys = self.words.iter().copied().chain([UNKNOWN]);
        let counted = keys.zip(&self.counts).filter(|(_, count)| **count > 0);
        counted.map(|(key, count)| json!({"key": key, "count": count})).collect()
    }
}

pub(super) async fn summary(
    State(state): State<AppState>,
    reader: Reader,
    Asked(query): Asked<MapQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter(&state, true)?;
    let view = said(&query.view).map(str::parse::<BBox>).transpose();
    let view = view.map_err(|refusal| Problem::bad_request(refusal.at("view")))?;
    let districts = state.registry.list_districts().await?;
    let is_chinese = reader.language == crate::messages::Language::Zh;
    let names: HashMap<String, String> = districts
        .into_iter()
        .map(|district| (district.code, if is_chinese { district.name_zh } else { district.name_en }))
        .collect();
    let map = state.map_of(query.moment(&state)?).await?.into_map();
    let summed = tokio::task::spawn_blocking(move || sum_up(&state, map, filter.as_ref(), view, &names));
    let said = summed.await.map_err(|_| Problem::broken())?;
    Ok(private(said.to_string()))
}

fn sum_up(
    state: &AppState,
    map: Arc<Snapshot>,
    filter: Option<&crate::cql2::Filter>,
    view: Option<BBox>,
    names: &HashMap<String, String>,
) -> Value {
    let choice = MapChoice::new(state, map, filter, true);
    let reader = CoverReader::new(choice.map(), &state.config.quality, true);
    let mut sums = [
        Sums::of("classes", CoverField::Class, CoverClass::WORDS),
        Sums::of("states", CoverField::State, CoverState::WORDS),
        Sums::of("load_classes", CoverField::LoadClass, LoadClass::WORDS),
        Sums::of("materials", CoverField::Material, Material::WORDS),
        Sums::of("placements", CoverField::Placement, Placement::WORDS),
    ];
    let (mut matched, mut in_view, mut plated, mut with_case) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut edges = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
    let mut districts = vec![0_u64; reader.words().district_count() + 1];
    let mut owners = vec![0_u64; reader.words().party_count() + 1];
    for row in choice.chosen().rows(KeyRange::WORLD) {
        matched += 1;
        in_view += u64::from(view.is_none_or(|view| view.contains(row.lon, row.lat)));
        plated += u64::from(row.flags.has_plate);
        with_case += u64::from(row.flags.open_case);
        let [west, south, east, north] = edges;
        edges = [west.min(row.lon), south.min(row.lat), east.max(row.lon), north.max(row.lat)];
        let seen = reader.view(row);
        sums.iter_mut().for_each(|sum| sum.add(&seen));
        for (counts, number) in [
            (&mut districts, usize::from(row.attributes.district)),
            (&mut owners, row.attributes.owner as usize),
        ] {
            if let Some(count) = counts.get_mut(number) {
                *count += 1;
            }
        }
    }
    let words = reader.words();
    let districts = ranked(&districts, |number| {
        let code = words.district(u16::try_from(number).ok()?)?;
        Some((code.to_owned(), names.get(code).cloned().unwrap_or_else(|| code.to_owned())))
    });
    let owners = ranked(&owners, |number| {
        let (id, name) = words.party(u32::try_from(number).ok()?)?;
        Some((id.to_string(), name.clone()))
    });
    let bounds = (matched > 0).then_some(edges);
    let mut said = json!({"matched": matched, "in_view": in_view, "with_plate": plated, "with_open_case": with_case,
        "bounds": bounds, "districts": districts, "owners": owners});
    sums.iter().for_each(|sum| said[sum.name] = sum.said());
    said
}

/// By count, the most first; number 0 counts what is not known.
fn ranked(counts: &[u64], named: impl Fn(usize) -> Option<(String, String)>) -> Vec<Value> {
    let mut ranked: Vec<(usize, u64)> =
        counts.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
    ranked.sort_by_key(|(number, count)| (std::cmp::Reverse(*count), *number));
    ranked
        .into_iter()
        .map(|(number, count)| match named(number) {
            Some((key, name)) => json!({"key": key, "name": name, "count": count}),
            None => json!({"key": UNKNOWN, "name": "", "count": count}),
        })
        .collect()
}

pub(super) async fn list(
    State(state): State<AppState>,
    Picked(query, fields): Picked<MapQuery>,
) -> Result<Response, Problem> {
    let sparse = fields.of(&MAP_COVER)?;
    let filter = query.filter(&state, true)?;
    let many = limit(said(&query.limit), PAGE, MOST).map_err(Problem::bad_request)?;
    let many = usize::try_from(many).unwrap_or(1);
    let after = match said(&query.cursor) {
        None => None,
        Some(text) => {
            Some(read_cursor(text).ok_or_else(|| Problem::bad_request(Refusal::new("ogc.cursor")))?)
        }
    };
    let map = state.map_of(query.moment(&state)?).await?.into_map();
    let listed = tokio::task::spawn_blocking(move || {
        let choice = MapChoice::new(&state, map, filter.as_ref(), true);
        let reader = CoverReader::new(choice.map(), &state.config.quality, true);
        let from = after.map_or(KeyRange::WORLD.first, |after| after.key);
        let keys = KeyRange { first: from, last: KeyRange::WORLD.last };
        let is_behind = |row: &SnapshotRow| after.is_none_or(|after| CoverKey::of(row) > after);
        let rows: Vec<SnapshotRow> = choice.chosen().rows(keys).filter(is_behind).take(many + 1).collect();
        write_list(&reader, &sparse, &rows, many, choice.chosen().count())
    });
    let said = listed.await.map_err(|_| Problem::broken())?;
    Ok(private(said))
}

fn write_list(
    reader: &CoverReader<'_>,
    sparse: &Sparse,
    rows: &[SnapshotRow],
    many: usize,
    matched: usize,
) -> String {
    let covers: Vec<Value> = rows.iter().take(many).map(|row| sparse.pick(told(reader, row))).collect();
    let next = rows.get(many).and_then(|_| rows.get(many - 1)).map(write_cursor);
    json!({"matched": matched, "covers": covers, "next": next}).to_string()
}

/// A cover as lists tell it.
pub(super) fn told(reader: &CoverReader<'_>, row: &SnapshotRow) -> Value {
    let (view, words) = (reader.view(*row), reader.words());
    let owner = words.party(row.attributes.owner).map(|(_, name)| name);
    json!({"id": row.cover.to_string(), "code": view.code(), "class": row.class, "state": row.state,
        "district": words.district(row.attributes.district), "road": words.road(row.attributes.road),
        "owner": owner, "load_class": row.attributes.load_class, "material": row.attributes.material,
        "lon": row.lon, "lat": row.lat, "has_plate": row.flags.has_plate, "open_case": row.flags.open_case})
}

pub(super) fn write_cursor(row: &SnapshotRow) -> String {
    let CoverKey { key, cover } = CoverKey::of(row);
    let mut text = String::new();
    write!(text, "{key:x}.{cover}").expect("a String takes all text");
    text
}

pub(super) fn read_cursor(text: &str) -> Option<CoverKey> {
    let (key, cover) = text.split_once('.')?;
    let key = i64::from_str_radix(key, 16).ok()?;
    Some(CoverKey { key, cover: cover.parse::<CoverId>().ok()? })
}

/// What staff see is kept by nobody on the way.
pub(super) fn private(said: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "private, no-store")], said)
        .into_response()
}
