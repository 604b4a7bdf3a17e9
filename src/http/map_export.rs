//! Files of what the map shows: the same filters, every format, a chosen reference system.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use super::ask::Asked;
use super::exports::{Wish, send};
use super::map_query::MapQuery;
use super::past_maps::Moment;
use super::{AppState, Problem};
use crate::cql2::Filter;
use crate::domain::Refusal;
use crate::domain::ids::CoverId;
use crate::layers::{CoverReader, CoverSearch};
use crate::outlet::What;
use crate::registry::CoverFilter;
use crate::spatial::Snapshot;

/// `format`, `crs` and `words` as of any file; everything else as the map's own filters, `at` among them.
pub(super) async fn export(
    State(state): State<AppState>,
    Asked(mut asked): Asked<BTreeMap<String, String>>,
) -> Result<Response, Problem> {
    let format = asked.remove("format").unwrap_or_default();
    let (crs, words) = (asked.remove("crs"), asked.remove("words"));
    let query: MapQuery = serde_json::from_value(json!(asked))
        .map_err(|error| Problem::bad_request(Refusal::new("http.query").with("reason", error)))?;
    let moment = query.moment(&state)?;
    let at = if let Moment::Past(at) = moment { Some(at) } else { None };
    let only = match query.filter(&state, true)? {
        None => None,
        Some(filter) => {
            let (looked, map) = (state.clone(), state.map_of(moment).await?);
            let found = tokio::task::spawn_blocking(move || find(&looked, map.map(), &filter)).await;
            let found = found.map_err(|error| super::problem::from_io(&std::io::Error::other(error)))?;
            Some(Arc::new(found.map_err(Problem::bad_request)?))
        }
    };
    send(&state, What::Covers(CoverFilter::default()), Wish { format, crs, words, only, at }).await
}

/// The covers that a filter means, in memory: 32 bytes each.
fn find(state: &AppState, map: &Snapshot, filter: &Filter) -> Result<HashSet<CoverId>, Refusal> {
    let reader = CoverReader::new(map, &state.config.quality, true);
    let search = CoverSearch::new(map, &reader, None, Some((filter.prepare(&reader), filter.bounds())))?;
    Ok(search.rows().map(|row| row.cover).collect())
}
