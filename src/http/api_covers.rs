//! Covers, their files and the change feed for programs.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing};
use super::conflict::etag;
use super::cover_query::CoverQuery;
use super::desk::unknown_cover;
use super::sparse::{COVER, Picked};
use super::{AppState, Problem, json as shapes};
use crate::registry::ChainState;

pub(super) async fn list_covers(
    State(state): State<AppState>,
    Picked(query, fields): Picked<CoverQuery>,
) -> Result<Response, Problem> {
    let sparse = fields.of(&COVER)?;
    let filter = query.filter(100, 1000).map_err(Problem::bad_request)?;
    let page_size = filter.limit;
    let covers = state.registry.list_covers(filter).await?;
    let next = covers.last().filter(|_| covers.len() as i64 == page_size).map(|file| file.cover);
    let mut answer =
        json!({"covers": covers.iter().map(|file| sparse.pick(shapes::cover(file))).collect::<Vec<Value>>()});
    if let Some(next) = next {
        answer["next"] = json!(next);
    }
    Ok(Json(answer).into_response())
}

pub(super) async fn find_cover(
    State(state): State<AppState>,
    Picked(Nothing {}, fields): Picked<Nothing>,
    headers: HeaderMap,
    Named(code): Named,
) -> Result<Response, Problem> {
    let sparse = fields.of(&COVER)?;
    let file = state.registry.find_cover_by_code(&code).await?.ok_or_else(|| unknown_cover(&code))?;
    let etag = etag(file.version);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag[0].1.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, etag).into_response());
    }
    let mut shown = shapes::cover(&file);
    let former = state.registry.list_former_codes(file.cover).await?;
    if !former.is_empty() {
        shown["former_codes"] = json!(former.iter().map(|code| &code.digits).collect::<Vec<_>>());
    }
    Ok((etag, Json(sparse.pick(shown))).into_response())
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
    let mut answer = json!({"entries": entries, "chain": shapes::chain(chain)});
    let earlier = state.registry.list_earlier_files(file.manhole).await?;
    if !earlier.is_empty() {
        answer["earlier"] = earlier.iter().map(shapes::earlier_file).collect();
    }
    Ok(Json(answer).into_response())
}
