//! The list of covers for staff: filters in the address, page by page.

use axum::extract::State;
use axum::response::Response;

use super::ask::{Asked, Reader};
use super::auth::Caller;
use super::cover_query::CoverQuery;
use super::desk::page;
use super::edit_page::Lists;
use super::views::{self, CoverListView};
use super::{AppState, Problem};

/// Covers on one page, and the most that somebody may ask for.
const PAGE: i64 = 50;
const MOST: i64 = 500;

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<CoverQuery>,
) -> Result<Response, Problem> {
    let query = query.without_blanks();
    let filter = query.filter(PAGE, MOST).map_err(Problem::bad_request)?;
    let size = filter.limit;
    let covers = state.registry.list_covers(filter).await?;
    let lists = Lists::read(&state).await?;
    let last = covers.last().filter(|_| covers.len() as i64 == size);
    let view = CoverListView {
        covers: &covers,
        names: lists.names(),
        filters: &query.pairs(),
        query: &query.address(),
        next: last.map(|file| file.cover.to_string()),
    };
    Ok(page(views::cover_list(&reader.page(&state, caller.session.as_ref()), &view)))
}
