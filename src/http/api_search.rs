//! One box for everything that has a name: covers by code, present or former; plates, cases and reports by number; roads
//! and owners by a part, by their sound or with a slip. Words are looked for in memory, alike on both engines.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::Asked;
use super::auth::{Caller, percent_encode};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::token::Token;
use crate::layers::{CoverField, CoverReader, Wanted};
use crate::spatial::{Snapshot, SnapshotRow};

/// Most characters that somebody may type.
const TYPED: usize = 100;
/// Results of a kind.
const MOST: usize = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchQuery {
    q: String,
}

pub(super) async fn search(
    State(state): State<AppState>,
    caller: Caller,
    Asked(query): Asked<SearchQuery>,
) -> Result<Response, Problem> {
    let typed = query.q.trim().to_owned();
    let count = typed.chars().count();
    if count > TYPED {
        let refusal = Refusal::new("text.too_long").at("q").with("count", count).with("most", TYPED);
        return Err(Problem::bad_request(refusal));
    }
    let mut results = Vec::new();
    results.extend(case(&state, &caller, &typed).await?);
    results.extend(plate(&state, &typed).await?);
    let in_memory = {
        let (state, typed) = (state.clone(), typed.clone());
        tokio::task::spawn_blocking(move || {
            let map = state.snapshot.load();
            let mut found = codes(&map, &typed);
            found.extend(words(&state, &map, &typed));
            found
        })
    };
    let in_memory = in_memory.await.map_err(|_| Problem::broken())?;
    if in_memory.is_empty() && results.is_empty() {
        results.extend(former_code(&state, &typed).await?);
    }
    results.extend(in_memory);
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "private, no-store")];
    Ok((headers, json!({"results": results}).to_string()).into_response())
}

/// A case by its number, or by that of a report of it.
async fn case(state: &AppState, caller: &Caller, typed: &str) -> Result<Option<Value>, Problem> {
    let number = typed.to_ascii_uppercase();
    let file = match number.strip_prefix('R') {
        Some(_) => state.registry.find_case_of_report(&number, &caller.actor()).await?,
        None if number.len() > 5 && number.as_bytes()[4] == b'-' => {
            state.registry.find_case(&number, &caller.actor()).await?
        }
        None => None,
    };
    Ok(file.map(|file| {
        let place = file.cover.as_ref().map(|cover| (cover.survey.position.lon, cover.survey.position.lat));
        result("case", &file.case.number, file.cover.and_then(|cover| cover.survey.road), place)
            .leading_to(format!("/desk/cases/{}", file.case.number))
    }))
}

async fn plate(state: &AppState, typed: &str) -> Result<Option<Value>, Problem> {
    let Ok(token) = typed.parse::<Token>() else { return Ok(None) };
    let Some(scanned) = state.registry.find_plate(token).await? else { return Ok(None) };
    let cover = scanned.cover.as_ref();
    let place = cover.map(|cover| (cover.survey.position.lon, cover.survey.position.lat));
    let code = cover.map(|cover| cover.code.digits.clone());
    let href = match &code {
        Some(code) => format!("/covers/{code}"),
        None => format!("/c/{token}"),
    };
    Ok(Some(result("plate", &token.grouped(), code, place).leading_to(href)))
}

fn digits_of(typed: &str) -> Option<String> {
    let digits: String = typed.chars().filter(|sign| !matches!(sign, ' ' | '-')).collect();
    (digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// Covers whose code begins so.
fn codes(map: &Snapshot, typed: &str) -> Vec<Value> {
    let Some(digits) = digits_of(typed) else { return Vec::new() };
    let words = map.lexicon().read();
    let cover = |row: &SnapshotRow| {
        let code = words.digits(row.attributes.code);
        let road = words.road(row.attributes.road).map(str::to_owned);
        result("cover", &code, road, Some((row.lon, row.lat))).leading_to(format!("/covers/{code}"))
    };
    map.codes_beginning(&digits, MOST).iter().map(cover).collect()
}

/// A cover by a code that it had before, or one that is no longer in use.
async fn former_code(state: &AppState, typed: &str) -> Result<Option<Value>, Problem> {
    let Some(digits) = digits_of(typed) else { return Ok(None) };
    let file = state.registry.find_cover_by_code(&digits).await?;
    Ok(file.map(|file| {
        let place = (file.survey.position.lon, file.survey.position.lat);
        let href = format!("/covers/{}", file.code.digits);
        result("cover", &file.code.digits, file.survey.road, Some(place)).leading_to(href)
    }))
}

/// Roads and owners, each with how many covers it has, where they lie, and the filter that means them.
fn words(state: &AppState, map: &Snapshot, typed: &str) -> Vec<Value> {
    let wanted = Wanted::new(typed);
    let reader = CoverReader::new(map, &state.config.quality, true);
    let lexicon = reader.words();
    let roads = (1..=lexicon.road_count() as u32).filter_map(|at| Some((at, lexicon.road(at)?)));
    let roads = wanted.best(roads, MOST);
    let owners =
        (1..=lexicon.party_count() as u32).filter_map(|at| Some((at, lexicon.party(at)?.1.as_str())));
    let owners = wanted.best(owners, MOST);
    if roads.is_empty() && owners.is_empty() {
        return Vec::new();
    }
    let mut of_roads = vec![Spread::default(); roads.len()];
    let mut of_owners = vec![Spread::default(); owners.len()];
    for row in map.rows() {
        for (number, found, spreads) in
            [(row.attributes.road, &roads, &mut of_roads), (row.attributes.owner, &owners, &mut of_owners)]
        {
            if let Some(at) = found.iter().position(|(wanted, _)| *wanted == number) {
                spreads[at].add(&row);
            }
        }
    }
    let roads = roads
        .iter()
        .zip(&of_roads)
        .filter_map(|((at, fit), spread)| Some((*fit, "road", lexicon.road(*at)?, CoverField::Road, spread)));
    let owners = owners.iter().zip(&of_owners).filter_map(|((at, fit), spread)| {
        Some((*fit, "owner", lexicon.party(*at)?.1.as_str(), CoverField::Owner, spread))
    });
    let mut all: Vec<_> = roads.chain(owners).filter(|(.., spread)| spread.count > 0).collect();
    all.sort_by_key(|(fit, ..)| *fit);
    all.into_iter()
        .map(|(_, kind, name, field, spread)| {
            let filter = format!("{} = '{}'", field.as_str(), name.replace('\'', "''"));
            json!({"kind": kind, "title": name, "detail": null, "count": spread.count, "bounds": spread.edges,
                "filter": filter, "href": format!("/map?filter={}", percent_encode(&filter))})
        })
        .collect()
}

/// How many covers there are, and the edges of where they lie.
#[derive(Debug, Clone, Copy)]
struct Spread {
    count: u64,
    edges: [f64; 4],
}

impl Default for Spread {
    fn default() -> Self {
        Self { count: 0, edges: [f64::MAX, f64::MAX, f64::MIN, f64::MIN] }
    }
}

impl Spread {
    fn add(&mut self, row: &SnapshotRow) {
        let [west, south, east, north] = self.edges;
        self.count += 1;
        self.edges = [west.min(row.lon), south.min(row.lat), east.max(row.lon), north.max(row.lat)];
    }
}

/// A result that lies at a place.
struct Found(Value);

fn result(kind: &str, title: &str, detail: Option<String>, place: Option<(f64, f64)>) -> Found {
    let (lon, lat) = place.unzip();
    Found(json!({"kind": kind, "title": title, "detail": detail, "lon": lon, "lat": lat}))
}

impl Found {
    fn leading_to(self, href: String) -> Value {
        let mut said = self.0;
        said["href"] = href.into();
        said
    }
}
