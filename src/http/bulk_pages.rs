//! Pages for changes of many covers: the form over the filters of the list, the look, the end.

use axum::extract::{FromRequest, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::api_bulk::{Way, preview, read_id, take};
use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::cover_query::{CoverQuery, UNKNOWN};
use super::desk::page;
use super::edit_fields::{SetBody, code_choice, version};
use super::edit_page::Lists;
use super::form_texts::Texts;
use super::forms::Form;
use super::problem::page_with_problem;
use super::views::{self, BulkForm, BulkView, CHOSEN, OneState};
use super::{AppState, Problem, api_bulk};
use crate::domain::Refusal;
use crate::domain::edit::{BulkRowState, CodeChoice};
use crate::domain::ids::{BulkEditId, CoverId, IdempotencyKey};
use crate::registry::{BulkEdit, BulkOrder, BulkStep};

pub(super) async fn form(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<CoverQuery>,
) -> Result<Response, Problem> {
    let query = query.without_blanks();
    query.filter(1, 1).map_err(Problem::bad_request)?;
    Ok(page(show_form(&state, &reader, &caller, &query, &Texts::new(), None).await?))
}

async fn show_form(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    query: &CoverQuery,
    texts: &Texts,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let lists = Lists::read(state).await?;
    let code = texts.get("code").and_then(|word| word.parse().ok()).unwrap_or(CodeChoice::ByScheme);
    let form = BulkForm {
        names: lists.names(),
        filters: &query.pairs(),
        query: &query.address(),
        texts,
        code,
        key: IdempotencyKey::fresh(),
        wrong,
    };
    Ok(views::bulk_form(&reader.page(state, caller.session.as_ref()), &form))
}

const KNOWN: &[&str] =
    &["csrf", "key", "filter", "reason", "code", "road", "clear_road", "extra_name", "extra_value"];

pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    let known: Vec<&str> = KNOWN.iter().chain(&CHOSEN).copied().collect();
    form.only(&known)?;
    caller.check_csrf(form.field("csrf"))?;
    let query = read_filter(form.field("filter").unwrap_or_default())?;
    match look(&state, &caller, &form, &query).await {
        Ok(edit) => Ok(to_page(edit.record.id)),
        Err(problem) if problem.status.is_client_error() => {
            let texts: Texts =
                form.beginning("").map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let html = show_form(&state, &reader, &caller, &query, &texts, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn to_page(id: BulkEditId) -> Response {
    Redirect::to(&format!("/bulk-edits/{id}")).into_response()
}

/// The filters as the query of an address.
fn read_filter(text: &str) -> Result<CoverQuery, Problem> {
    let wrong = || Problem::bad_request(Refusal::new("http.query").with("reason", "filter"));
    let address: Uri = format!("/covers?{text}").parse().map_err(|_| wrong())?;
    let Query(query) = Query::<CoverQuery>::try_from_uri(&address).map_err(|_| wrong())?;
    Ok(query.without_blanks())
}

async fn look(
    state: &AppState,
    caller: &Caller,
    form: &Form,
    query: &CoverQuery,
) -> Result<BulkEdit, Problem> {
    query.whole()?;
    // Nothing = as it is, `unknown` = not known from now on.
    let set = |name: &str| match form.field(name) {
        None => None,
        Some(UNKNOWN) => Some(None),
        Some(text) => Some(Some(text.to_owned())),
    };
    let needed = |name: &str| form.field(name).map(str::to_owned);
    let road = if form.field("clear_road").is_some() { Some(None) } else { set("road") };
    let extra = form
        .field("extra_name")
        .map(|name| (name.to_owned(), form.field("extra_value").map(|text| text.replace("\r\n", "\n"))));
    let body = SetBody {
        class: needed("class"),
        state: needed("state"),
        district: needed("district"),
        position: None,
        road,
        address: None,
        placement: set("placement"),
        material: set("material"),
        shape: set("shape"),
        load_class: set("load_class"),
        owner: set("owner"),
        maintainer: set("maintainer"),
        supervisor: set("supervisor"),
        extra: extra.into_iter().collect(),
    };
    let order = BulkOrder {
        key: form.key()?,
        filter: query.filter(1, 1)?,
        filter_text: query.address(),
        edit: body.edit(state).await?,
        code: code_choice(form.field("code"))?,
        reason: form.field("reason").unwrap_or_default().to_owned(),
        actor: caller.actor(),
    };
    preview(state, order).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    cursor: String,
}

/// Covers shown as samples, and on a page of all of one state.
const SAMPLES: i64 = 20;
const LINES: i64 = 100;

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    Asked(query): Asked<LineQuery>,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    let one_state = match query.state.as_str() {
        "" => None,
        word => Some(word.parse::<BulkRowState>().map_err(Problem::bad_request)?),
    };
    let after = match query.cursor.as_str() {
        "" => None,
        text => Some(text.parse::<CoverId>().map_err(|refusal| Problem::bad_request(refusal.at("cursor")))?),
    };
    let shown = Shown { one_state, after, wrong: None };
    let (html, moving) = bulk_page(&state, &reader, &caller, id, shown).await?;
    let mut response = page(html);
    if moving {
        response.headers_mut().insert("refresh", HeaderValue::from_static("3"));
    }
    Ok(response)
}

/// Which covers of a change are shown, and why it could not be moved on.
#[derive(Default)]
struct Shown<'s> {
    one_state: Option<BulkRowState>,
    after: Option<CoverId>,
    wrong: Option<&'s Refusal>,
}

/// The page, and whether it will soon say something else.
async fn bulk_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    id: BulkEditId,
    shown: Shown<'_>,
) -> Result<(String, bool), Problem> {
    let registry = &state.registry;
    let edit = api_bulk::find(state, id).await?;
    let lists = Lists::read(state).await?;
    let query = read_filter(&edit.record.filter)?;
    use BulkRowState::{Applied, Kept, Refused, Settled, Undone, Waiting};
    let (mut changed, mut left, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    match shown.one_state {
        Some(one) => lines = registry.list_bulk_lines(id, &[one], shown.after, LINES).await?,
        None => {
            let moved = [Waiting, Applied, Settled, Undone];
            changed = registry.list_bulk_lines(id, &moved, None, SAMPLES).await?;
            left = registry.list_bulk_lines(id, &[Refused, Kept], None, SAMPLES).await?;
        }
    }
    let last = lines.last().filter(|_| lines.len() as i64 == LINES);
    let next = last.map(|line| line.cover.cover.to_string());
    let view = BulkView {
        edit: &edit,
        names: lists.names(),
        filters: &query.pairs(),
        changed: &changed,
        left: &left,
        one_state: shown.one_state.map(|one| OneState { state: one, lines: &lines, next }),
        key: IdempotencyKey::fresh(),
        wrong: shown.wrong,
    };
    Ok((views::bulk_edit(&reader.page(state, caller.session.as_ref()), &view), view.is_moving()))
}

async fn move_on(
    state: AppState,
    reader: Reader,
    caller: Caller,
    id: String,
    request: Request,
    way: Way,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "version"])?;
    caller.check_csrf(form.field("csrf"))?;
    let id = read_id(&id)?;
    let step = || {
        Ok::<_, Refusal>(BulkStep {
            key: form.key()?,
            id,
            expected_version: version(&form, "version")?,
            actor: caller.actor(),
        })
    };
    let moved = match step() {
        Ok(step) => take(&state, step, way).await.map(drop),
        Err(refusal) => Err(refusal.into()),
    };
    match moved {
        Ok(()) => Ok(to_page(id)),
        Err(problem) if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND => {
            let shown = Shown { wrong: Some(&problem.refusal), ..Shown::default() };
            let (html, _) = bulk_page(&state, &reader, &caller, id, shown).await?;
            let status = match problem.refusal.code {
                "bulk.moved_meanwhile" => StatusCode::PRECONDITION_FAILED,
                _ => problem.status,
            };
            Ok(page_with_problem(status, html))
        }
        Err(problem) => Err(problem),
    }
}

pub(super) async fn apply(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    request: Request,
) -> Result<Response, Problem> {
    move_on(state, reader, caller, id, request, Way::Apply).await
}

pub(super) async fn undo(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    request: Request,
) -> Result<Response, Problem> {
    move_on(state, reader, caller, id, request, Way::Undo).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    #[serde(default)]
    before: String,
}

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<Before>,
) -> Result<Response, Problem> {
    let before = match query.before.as_str() {
        "" => None,
        text => {
            let read = text.parse::<BulkEditId>();
            Some(read.map_err(|refusal| Problem::bad_request(refusal.at("before")))?)
        }
    };
    let records = state.registry.list_bulk_edits(before, 50).await?;
    let lists = Lists::read(&state).await?;
    let next = records.last().filter(|_| records.len() == 50).map(|record| record.id.to_string());
    let around = reader.page(&state, caller.session.as_ref());
    Ok(page(views::bulk_list(&around, &records, lists.names(), next)))
}
