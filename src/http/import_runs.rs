//! 普查台账: the page of one run, what a full survey passed over, and taking the run back.

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::census_work::{self as work, Subject};
use super::desk::page;
use super::forms::{Form, shortened};
use super::problem::page_with_problem;
use super::views::{self, RunView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::CoverId;
use crate::domain::import_run::{ImportNumber, PassedOver};

/// Covers on one page.
const COVERS: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    after: Option<String>,
}

fn read_number(text: &str) -> Result<ImportNumber, Problem> {
    let unknown = || Refusal::new("import.unknown").with("read", shortened(text));
    text.parse().map(ImportNumber).map_err(|_| Problem { status: StatusCode::NOT_FOUND, refusal: unknown() })
}

fn read_cover(text: &str) -> Result<CoverId, Problem> {
    text.parse().map_err(|refusal: Refusal| Problem::bad_request(refusal.at("cover")))
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    Asked(query): Asked<After>,
) -> Result<Response, Problem> {
    let number = read_number(&number)?;
    let after = query.after.as_deref().map(read_cover).transpose()?;
    let (html, moving) = run_page(&state, &reader, &caller, number, (after, None)).await?;
    let mut response = page(html);
    if moving {
        response.headers_mut().insert("refresh", HeaderValue::from_static("2"));
    }
    Ok(response)
}

/// The page, and whether it will soon say something else.
async fn run_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    number: ImportNumber,
    (after, wrong): (Option<CoverId>, Option<&Refusal>),
) -> Result<(String, bool), Problem> {
    let working = state.shared.works.find(Subject::Run(number)).is_some();
    let record = state.registry.find_import(number).await?;
    let passed_over = state.registry.list_passed_over(number, after, COVERS).await?;
    let view = RunView {
        record: &record,
        working,
        passed_over: &passed_over,
        passed_over_count: state.registry.count_passed_over(number).await?,
        next: passed_over.last().filter(|_| passed_over.len() as i64 == COVERS).map(|file| file.cover),
        wrong,
    };
    Ok((views::import_run(&reader.page(state, caller.session.as_ref()), &view), working))
}

fn to_page(number: ImportNumber) -> Response {
    Redirect::to(&format!("/admin/imports/{number}")).into_response()
}

/// Says what becomes of a cover that a full survey passed over.
pub(super) async fn decide(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "cover", "decision"])?;
    caller.check_csrf(form.field("csrf"))?;
    let number = read_number(&number)?;
    let cover = read_cover(form.needed("cover")?)?;
    let decision: PassedOver = form.needed("decision")?.parse()?;
    match state.registry.decide_passed_over(number, cover, decision, &caller.actor()).await {
        Ok(()) => {
            state.covers_changed(&[cover]);
            Ok(to_page(number))
        }
        Err(error) => {
            let problem = Problem::from(error);
            if problem.status != StatusCode::CONFLICT {
                return Err(problem);
            }
            let wrong = (None, Some(&problem.refusal));
            let (html, _) = run_page(&state, &reader, &caller, number, wrong).await?;
            Ok(page_with_problem(problem.status, html))
        }
    }
}

pub(super) async fn roll_back(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    let number = read_number(&number)?;
    if let Err(error) = work::check_roll_back(&state, number).await {
        let problem = Problem::from(error);
        if problem.status != StatusCode::CONFLICT {
            return Err(problem);
        }
        let (html, _) = run_page(&state, &reader, &caller, number, (None, Some(&problem.refusal))).await?;
        return Ok(page_with_problem(problem.status, html));
    }
    work::roll_back(&state, number, caller.actor());
    Ok(to_page(number))
}
