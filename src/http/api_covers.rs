//! Covers, their files and the change feed for programs.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing};
use super::desk::unknown_cover;
use super::forms::shortened;
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::ids::CoverId;
use crate::registry::{ChainState, CoverFilter};
use crate::spatial::BBox;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CoverQuery {
    bbox: Option<String>,
    district: Option<String>,
    class: Option<String>,
    state: Option<String>,
    road: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// A whole number within bounds; above the most, the most.
pub(super) fn limit(text: Option<&str>, usual: i64, most: i64) -> Result<i64, Refusal> {
    let Some(text) = text else { return Ok(usual) };
    match text.parse::<i64>() {
        Ok(number) if number >= 1 => Ok(number.min(most)),
        _ => Err(Refusal::new("form.whole_number")
            .at("limit")
            .with("field", "limit")
            .with("read", shortened(text))),
    }
}

/// `west,south,east,north` in degrees.
fn bbox(text: &str) -> Result<BBox, Refusal> {
    let wrong = || Refusal::new("bbox.four_numbers").at("bbox").with("read", shortened(text));
    let numbers: Vec<f64> = text
        .split(',')
        .map(|part| part.trim().parse::<f64>())
        .collect::<Result<_, _>>()
        .map_err(|_| wrong())?;
    match numbers[..] {
        [west, south, east, north] => {
            BBox::new(west, south, east, north).map_err(|refusal| refusal.at("bbox"))
        }
        _ => Err(wrong()),
    }
}

pub(super) async fn list_covers(
    State(state): State<AppState>,
    Asked(query): Asked<CoverQuery>,
) -> Result<Response, Problem> {
    let filter = cover_filter(&query).map_err(Problem::bad_request)?;
    let page_size = filter.limit;
    let covers = state.registry.list_covers(filter).await?;
    let next = covers.last().filter(|_| covers.len() as i64 == page_size).map(|file| file.cover);
    let mut answer = json!({"covers": covers.iter().map(shapes::cover).collect::<Vec<Value>>()});
    if let Some(next) = next {
        answer["next"] = json!(next);
    }
    Ok(Json(answer).into_response())
}

fn cover_filter(query: &CoverQuery) -> Result<CoverFilter, Refusal> {
    let within = query.bbox.as_deref().map(bbox).transpose()?.map(|bbox| {
        let ranges = bbox.key_ranges().into_iter().map(|range| (range.first, range.last)).collect();
        (ranges, [bbox.west(), bbox.south(), bbox.east(), bbox.north()])
    });
    let text = |value: &Option<String>, field: &'static str| match value {
        Some(text) if text.contains('\0') => Err(Refusal::new("text.control_character").at(field)),
        other => Ok(other.clone()),
    };
    Ok(CoverFilter {
        district: text(&query.district, "district")?,
        class: query.class.as_deref().map(str::parse).transpose()?,
        state: query.state.as_deref().map(str::parse).transpose()?,
        road: text(&query.road, "road")?,
        within,
        without_plate: false,
        after: query
            .cursor
            .as_deref()
            .map(str::parse::<CoverId>)
            .transpose()
            .map_err(|refusal| refusal.at("cursor"))?,
        limit: limit(query.limit.as_deref(), 100, 1000)?,
    })
}

pub(super) async fn find_cover(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Named(code): Named,
) -> Result<Response, Problem> {
    let file = state.registry.find_cover_by_code(&code).await?.ok_or_else(|| unknown_cover(&code))?;
    let etag = format!("\"{}\"", file.version);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    Ok(([(header::ETAG, etag)], Json(shapes::cover(&file))).into_response())
}

pub(super) async fn list_history(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(code): Named,
) -> Result<Response, Problem> {
    let file = state.registry.find_cover_by_code(&code).await?.ok_or_else(|| unknown_cover(&code))?;
    let entries = state.registry.list_history(file.manhole).await?;
    let chain =
        state.registry.verify_history(file.manhole).await?.unwrap_or(ChainState::Broken { sequence: 0 });
    let entries: Vec<Value> = entries.iter().map(shapes::entry).collect();
    Ok(Json(json!({"entries": entries, "chain": shapes::chain(chain)})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeedQuery {
    since: Option<String>,
    limit: Option<String>,
}

pub(super) async fn list_changes(
    State(state): State<AppState>,
    Asked(query): Asked<FeedQuery>,
) -> Result<Response, Problem> {
    let since = match query.since.as_deref() {
        None => 0,
        Some(text) => text.parse::<i64>().ok().filter(|since| *since >= 0).ok_or_else(|| {
            let refusal = Refusal::new("form.whole_number").at("since").with("field", "since");
            Problem::bad_request(refusal.with("read", shortened(text)))
        })?,
    };
    let most = limit(query.limit.as_deref(), 1000, 10_000).map_err(Problem::bad_request)?;
    let changes = state.registry.changes_since(since, most).await?;
    let last = changes.last().map_or(since, |change| change.sequence);
    let changes: Vec<Value> = changes
        .iter()
        .map(|change| {
            json!({"sequence": change.sequence, "at": shapes::time(change.at), "kind": change.kind, "id": change.id})
        })
        .collect();
    Ok(Json(json!({"changes": changes, "last": last})).into_response())
}
