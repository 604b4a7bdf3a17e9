//! 典型案例: the examples of a quarter, to be read, printed and taken along.

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::stream;
use serde::Deserialize;

use super::ask::{Asked, Nothing, Reader};
use super::auth::Caller;
use super::csv_body;
use super::desk::page;
use super::forms::Form;
use super::meeting_pages::MEETING_DESK;
use super::problem::page_with_problem;
use super::views::{self, ExemplaryView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::IdempotencyKey;
use crate::domain::meeting::Quarter;
use crate::registry::ExemplaryOrder;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExemplaryQuery {
    quarter: String,
    /// A case that is about to be marked.
    case: String,
}

/// The quarter that is asked for; this one where none is.
pub(super) fn quarter(state: &AppState, text: &str) -> Result<Quarter, Refusal> {
    match text.trim() {
        "" => {
            let today = views::day(&state.config, state.registry.now());
            let mut parts = today.split('-');
            let mut next = || parts.next().and_then(|part| part.parse::<u16>().ok()).unwrap_or(1);
            let (year, month) = (next(), next());
            Ok(Quarter::of(year.into(), month as u8))
        }
        text => text.parse(),
    }
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<ExemplaryQuery>,
) -> Result<Response, Problem> {
    let quarter = quarter(&state, &query.quarter).map_err(Problem::bad_request)?;
    Ok(page(list_page(&state, &reader, &caller, quarter, (query.case.trim(), "", None)).await?))
}

async fn list_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    quarter: Quarter,
    (number, sentence, wrong): (&str, &str, Option<&Refusal>),
) -> Result<String, Problem> {
    let files = state.registry.list_exemplary(quarter).await?;
    let view = ExemplaryView {
        files: &files,
        quarter,
        number,
        sentence,
        may_mark: MEETING_DESK.contains(&caller.user.role),
        key: IdempotencyKey::fresh(),
        wrong,
    };
    Ok(views::exemplary_list(&reader.page(state, caller.session.as_ref()), &view))
}

/// Marks a case, or takes its mark back.
pub(super) async fn mark(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "number", "quarter", "sentence", "step"])?;
    caller.check_csrf(form.field("csrf"))?;
    let asked = quarter(&state, form.field("quarter").unwrap_or_default())?;
    let said = |name| form.field(name).unwrap_or_default().to_owned();
    let order = || -> Result<ExemplaryOrder, Refusal> {
        let is_mark = match form.needed("step")? {
            "mark" => true,
            "unmark" => false,
            other => {
                let refusal = Refusal::new("exemplary.step").at("step");
                return Err(refusal
                    .with("read", super::forms::shortened(other))
                    .with("fits", "mark, unmark"));
            }
        };
        Ok(ExemplaryOrder {
            key: form.key()?,
            number: form.needed("number")?.to_owned(),
            quarter: is_mark.then_some(asked),
            sentence: said("sentence"),
            actor: caller.actor(),
        })
    };
    let marked = match order() {
        Ok(order) => state.registry.mark_exemplary(order).await.map_err(Problem::from),
        Err(refusal) => Err(refusal.into()),
    };
    match marked {
        Ok(()) => Ok(Redirect::to(&format!("/desk/exemplary?quarter={asked}")).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let (number, sentence) = (said("number"), said("sentence"));
            let said = (number.as_str(), sentence.as_str(), Some(&problem.refusal));
            let html = list_page(&state, &reader, &caller, asked, said).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QuarterQuery {
    pub(super) quarter: String,
}

pub(super) async fn list_csv(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<QuarterQuery>,
) -> Result<Response, Problem> {
    let quarter = quarter(&state, &query.quarter).map_err(Problem::bad_request)?;
    let files = state.registry.list_exemplary(quarter).await?;
    let look = reader.page(&state, caller.session.as_ref());
    let rows = files.iter().map(|file| views::exemplary_cells(&look, file)).collect();
    let pages = stream::iter([Ok::<Vec<Vec<String>>, Problem>(rows)]);
    Ok(csv_body::csv(&format!("exemplary-{quarter}"), views::exemplary_headings(&look), pages))
}
