//! 会商: covers and roads that come again and again, and what joint meetings decided.

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::{Caller, percent_encode};
use super::desk::{end_of_day, page};
use super::edit_page::Lists;
use super::forms::{Form, shortened};
use super::problem::page_with_problem;
use super::views::{self, MeetingForm, MeetingListView, MeetingView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::{IdempotencyKey, MeetingId, PartyId};
use crate::domain::role::Role;
use crate::outlet::start_of_day;
use crate::registry::{MeetingFile, NamedSubject, NewMeeting, RevokeOrder};

/// Who writes meetings down; what they decide overrides the routing.
pub(super) const MEETING_DESK: &[Role] = &[Role::Supervisor, Role::Admin];
/// Who reads them.
pub(super) const MEETING_READERS: &[Role] =
    &[Role::Dispatcher, Role::Supervisor, Role::Engineer, Role::Admin];
const PAGE: i64 = 30;
/// Days of which hot spots are counted unless somebody asks for others.
const DAYS: i64 = 90;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MeetingQuery {
    days: String,
    before: String,
}

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<MeetingQuery>,
) -> Result<Response, Problem> {
    Ok(page(list_page(&state, &reader, &caller, &query, (&MeetingForm::default(), None)).await?))
}

async fn list_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    query: &MeetingQuery,
    (typed, wrong): (&MeetingForm, Option<&Refusal>),
) -> Result<String, Problem> {
    let days = match query.days.trim() {
        "" => DAYS,
        text => text.parse().ok().filter(|days| (1..=3660).contains(days)).ok_or_else(|| {
            let refusal = Refusal::new("meeting.days").at("days").with("read", shortened(text));
            Problem::bad_request(refusal)
        })?,
    };
    let before = match query.before.trim() {
        "" => None,
        text => Some(
            text.parse::<MeetingId>()
                .map_err(|refusal: Refusal| Problem::bad_request(refusal.at("before")))?,
        ),
    };
    let spots = state.registry.list_hot_spots(days).await?;
    let meetings = state.registry.list_meetings(before, PAGE).await?;
    let lists = Lists::read(state).await?;
    let view = MeetingListView {
        spots: &spots,
        days,
        meetings: &meetings,
        names: lists.names(),
        next: meetings.last().filter(|_| meetings.len() as i64 == PAGE).map(|last| last.id.to_string()),
        may_record: MEETING_DESK.contains(&caller.user.role),
        typed,
        key: IdempotencyKey::fresh(),
        wrong,
    };
    Ok(views::meeting_list(&reader.page(state, caller.session.as_ref()), &view))
}

const FIELDS: &[&str] = &[
    "csrf",
    "key",
    "held",
    "place",
    "attendees",
    "cases",
    "covers",
    "district",
    "roads",
    "decision",
    "lead",
    "due",
];

pub(super) async fn record(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(FIELDS)?;
    caller.check_csrf(form.field("csrf"))?;
    let recorded = match new_meeting(&state, &caller, &form) {
        Ok(new) => state.registry.record_meeting(new).await.map_err(Problem::from),
        Err(refusal) => Err(refusal.into()),
    };
    match recorded {
        Ok(file) => Ok(to_meeting(&file.meeting.number)),
        Err(problem) if problem.status.is_client_error() => {
            let typed = MeetingForm::of(|name| form.field(name).unwrap_or_default().to_owned());
            let said = (&typed, Some(&problem.refusal));
            let html = list_page(&state, &reader, &caller, &MeetingQuery::default(), said).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn to_meeting(number: &str) -> Response {
    Redirect::to(&format!("/desk/meetings/{}", percent_encode(number))).into_response()
}

fn new_meeting(state: &AppState, caller: &Caller, form: &Form) -> Result<NewMeeting, Refusal> {
    let offset = state.config.utc_offset_minutes;
    let said = |name| form.field(name).unwrap_or_default();
    let lines = |name| said(name).lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
    let cases = said("cases").split_whitespace().map(|number| NamedSubject::Case(number.to_owned()));
    let covers = lines("covers").map(NamedSubject::Cover);
    let district = said("district").to_owned();
    let roads = lines("roads").map(|road| NamedSubject::Road { district: district.clone(), road });
    Ok(NewMeeting {
        key: form.key()?,
        held_at: start_of_day("held", form.needed("held")?, offset, 0)?,
        place: said("place").to_owned(),
        attendees: form.needed("attendees")?.to_owned(),
        decision: form.needed("decision")?.to_owned(),
        lead: form.needed("lead")?.parse::<PartyId>().map_err(|refusal| refusal.at("lead"))?,
        due_at: end_of_day("due", form.needed("due")?, offset)?,
        subjects: cases.chain(covers).chain(roads).collect(),
        actor: caller.actor(),
    })
}

pub(super) async fn known(state: &AppState, number: &str) -> Result<MeetingFile, Problem> {
    let unknown = || {
        let refusal = Refusal::new("meeting.unknown").with("read", shortened(number));
        Problem { status: StatusCode::NOT_FOUND, refusal }
    };
    state.registry.find_meeting(number).await?.ok_or_else(unknown)
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(number): Named,
) -> Result<Response, Problem> {
    Ok(page(meeting_page(&state, &reader, &caller, &number, None).await?))
}

async fn meeting_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    number: &str,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let file = known(state, number).await?;
    let lists = Lists::read(state).await?;
    let role = caller.user.role;
    let view = MeetingView {
        file: &file,
        names: lists.names(),
        may_revoke: MEETING_DESK.contains(&role),
        may_dispatch: matches!(role, Role::Dispatcher | Role::Supervisor | Role::Admin),
        wrong,
    };
    Ok(views::meeting_file(&reader.page(state, caller.session.as_ref()), &view))
}

pub(super) async fn revoke(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "reason"])?;
    caller.check_csrf(form.field("csrf"))?;
    let key = form.key()?;
    let reason = form.field("reason").unwrap_or_default().to_owned();
    let order = RevokeOrder { key, number: number.clone(), reason, actor: caller.actor() };
    match state.registry.revoke_meeting(order).await.map_err(Problem::from) {
        Ok(file) => Ok(to_meeting(&file.meeting.number)),
        Err(problem) if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND => {
            let html = meeting_page(&state, &reader, &caller, &number, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}
