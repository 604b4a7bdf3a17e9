//! 事件接收方: who hears of events by webhook, how each stands, and what could not be delivered.

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::api_receivers::{find, read_sequence};
use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::edit_fields::version;
use super::forms::Form;
use super::problem::page_with_problem;
use super::views::{self, LettersView, ReceiverListView, ReceiverView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::receiver::{LetterState, ReceiverKind, ReceiverStep};
use crate::outlet::start_of_day;
use crate::registry::{
    LetterOrder, NewReceiver, ReceiverChange, ReceiverDraft, ReceiverFile, ReceiverStepOrder,
};

/// Letters of one page.
const LETTERS: i64 = 50;

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let draft = ReceiverDraft { events: "case.*".to_owned(), ..ReceiverDraft::default() };
    Ok(page(list_page(&state, &reader, &caller, (&draft, ReceiverKind::Webhook), None).await?))
}

async fn list_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    (draft, kind): (&ReceiverDraft, ReceiverKind),
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let files = state.registry.list_receivers().await?;
    let view = ReceiverListView { files: &files, draft, kind, wrong };
    Ok(views::receivers(&reader.page(state, caller.session.as_ref()), &view))
}

fn draft_of(form: &Form) -> ReceiverDraft {
    let said = |name| form.field(name).unwrap_or_default().to_owned();
    ReceiverDraft {
        name: said("name"),
        url: said("url"),
        events: said("events"),
        districts: said("districts"),
        personal: form.field("personal").is_some(),
        rules: said("rules"),
    }
}

/// Adds a receiver and tells its secret, this once.
pub(super) async fn add(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "kind", "name", "url", "events", "districts", "personal", "rules"])?;
    caller.check_csrf(form.field("csrf"))?;
    let draft = draft_of(&form);
    let kind = form.field("kind").map_or(Ok(ReceiverKind::Webhook), str::parse);
    let added = match (kind.clone(), form.key()) {
        (Ok(kind), Ok(key)) => {
            let new = NewReceiver { key, kind, draft: draft.clone(), actor: caller.actor() };
            state.registry.add_receiver(new).await.map_err(Problem::from)
        }
        (Err(refusal), _) | (_, Err(refusal)) => Err(refusal.into()),
    };
    match added {
        Ok(made) => match made.file {
            Some(file) => {
                Ok(page(file_page(&state, &reader, &caller, &file, (made.secret.as_deref(), None)).await?))
            }
            None => Ok(Redirect::to("/admin/receivers").into_response()),
        },
        Err(problem) if problem.status.is_client_error() => {
            let typed = (&draft, kind.unwrap_or(ReceiverKind::Webhook));
            let html = list_page(&state, &reader, &caller, typed, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let file = find(&state, &id).await?;
    Ok(page(file_page(&state, &reader, &caller, &file, (None, None)).await?))
}

async fn file_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    file: &ReceiverFile,
    (secret, wrong): (Option<&str>, Option<(&Refusal, Option<&ReceiverDraft>)>),
) -> Result<String, Problem> {
    let upstream = match file.receiver.kind {
        ReceiverKind::Upstream => state.registry.list_upstream_cases(file.receiver.id).await?,
        ReceiverKind::Webhook | ReceiverKind::Mail => Vec::new(),
    };
    let view = ReceiverView {
        file,
        secret,
        upstream: &upstream,
        draft: wrong.and_then(|(_, draft)| draft),
        wrong: wrong.map(|(refusal, _)| refusal),
    };
    Ok(views::receiver(&reader.page(state, caller.session.as_ref()), &view))
}

/// Changes what is set of a receiver.
pub(super) async fn change(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "version", "name", "url", "events", "districts", "personal", "rules"])?;
    caller.check_csrf(form.field("csrf"))?;
    let file = find(&state, &id).await?;
    let draft = draft_of(&form);
    let order = || -> Result<ReceiverChange, Refusal> {
        Ok(ReceiverChange {
            key: form.key()?,
            id: file.receiver.id,
            version: version(&form, "version")?,
            draft: draft.clone(),
            actor: caller.actor(),
        })
    };
    let changed = match order() {
        Ok(change) => state.registry.change_receiver(change).await.map_err(Problem::from),
        Err(refusal) => Err(refusal.into()),
    };
    match changed {
        Ok(file) => Ok(Redirect::to(&address(&file)).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let wrong = Some((&problem.refusal, Some(&draft)));
            let html = file_page(&state, &reader, &caller, &file, (None, wrong)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn address(file: &ReceiverFile) -> String {
    format!("/admin/receivers/{}", file.receiver.id)
}

/// Pauses it, lets it go on, gives it a new secret, sends it everything since a day again, or removes it.
pub(super) async fn step(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "step", "since"])?;
    caller.check_csrf(form.field("csrf"))?;
    let file = find(&state, &id).await?;
    let order = || -> Result<ReceiverStepOrder, Refusal> {
        let since =
            form.field("since").map(|day| start_of_day("since", day, state.config.utc_offset_minutes, 0));
        Ok(ReceiverStepOrder {
            key: form.key()?,
            id: file.receiver.id,
            step: form.needed("step")?.parse::<ReceiverStep>().map_err(|refusal| refusal.at("step"))?,
            since: since.transpose().map_err(|refusal| refusal.at("since"))?,
            actor: caller.actor(),
        })
    };
    let stepped = match order() {
        Ok(order) => state.registry.step_receiver(order).await.map_err(Problem::from),
        Err(refusal) => Err(refusal.into()),
    };
    match stepped {
        Ok(made) => match (made.file, made.secret) {
            (None, _) => Ok(Redirect::to("/admin/receivers").into_response()),
            (Some(file), None) => Ok(Redirect::to(&address(&file)).into_response()),
            (Some(file), secret) => {
                Ok(page(file_page(&state, &reader, &caller, &file, (secret.as_deref(), None)).await?))
            }
        },
        Err(problem) if problem.status.is_client_error() => {
            let wrong = Some((&problem.refusal, None));
            let html = file_page(&state, &reader, &caller, &file, (None, wrong)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LetterQuery {
    state: String,
    after: String,
}

pub(super) async fn letters(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    Asked(query): Asked<LetterQuery>,
) -> Result<Response, Problem> {
    let file = find(&state, &id).await?;
    let asked = || -> Result<(LetterState, i64), Refusal> {
        let wanted = match query.state.trim() {
            "" => LetterState::Dead,
            word => word.parse::<LetterState>().map_err(|refusal| refusal.at("state"))?,
        };
        let after = Some(query.after.trim()).filter(|text| !text.is_empty());
        Ok((wanted, after.map_or(Ok(0), |text| read_sequence(text, "after"))?))
    };
    let (wanted, after) = asked().map_err(Problem::bad_request)?;
    let letters = state.registry.list_letters(file.receiver.id, wanted, (after, LETTERS)).await?;
    let next = letters.last().filter(|_| letters.len() as i64 == LETTERS).map(|letter| letter.sequence);
    let view = LettersView { file: &file, letters: &letters, state: wanted, next };
    Ok(page(views::letters(&reader.page(&state, caller.session.as_ref()), &view)))
}

/// Tries a letter again, or gives it up.
pub(super) async fn step_letter(
    State(state): State<AppState>,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "sequence", "step", "state"])?;
    caller.check_csrf(form.field("csrf"))?;
    let file = find(&state, &id).await?;
    let shown = form.field("state").unwrap_or(LetterState::Dead.as_str()).parse::<LetterState>()?;
    let order = LetterOrder {
        key: form.key()?,
        receiver: file.receiver.id,
        sequence: read_sequence(form.needed("sequence")?, "sequence")?,
        step: form.needed("step")?.parse().map_err(|refusal: Refusal| refusal.at("step"))?,
        actor: caller.actor(),
    };
    match state.registry.step_letter(order).await.map_err(Problem::from) {
        // Somebody else, or the receiver itself, was faster: the list shows how it is.
        Err(problem) if problem.status != StatusCode::NOT_FOUND => Err(problem),
        _ => {
            let address = format!("{}/letters?state={shown}", address(&file));
            Ok(Redirect::to(&address).into_response())
        }
    }
}
