//! The desk and the file: pages for staff.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ask::{Asked, From, Named, Reader};
use super::auth::{Caller, safe_next, set_session};
use super::case_moves::{MOVE_BYTES, MOVE_FIELDS, MoveCall, SaidMove, send_move};
use super::forms::{Form, store_photos};
use super::problem::page_with_problem;
use super::public::{REPORT_BYTES, public_photo, read_file};
use super::views::{self, AskedOf, CaseQuery, CoverView, MoveDraft, Names};
use super::whole_file::WholeFile;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::case::{Case, CaseState, possible_moves};
use crate::domain::ids::{IdempotencyKey, Millis, PartyId};
use crate::domain::role::{Actor, Role};
use crate::domain::token::Token;
use crate::outlet::start_of_day;
use crate::photos::PhotoDigest;
use crate::registry::{CaseFilter, CaseOrder, DueFilter, LogIn, PhotoRecord, User};

pub(super) fn page(html: String) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

pub(super) async fn login_form(
    State(state): State<AppState>,
    reader: Reader,
    Asked(next): Asked<Next>,
) -> Response {
    page(views::login(&reader.page(&state, None), safe_next(&next.next), None))
}

pub(super) async fn login(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    request: Request,
) -> Result<Response, Problem> {
    state.shared.tries.count(network, state.registry.now())?;
    let form = Form::from_request(request, &state).await?;
    form.only(&["login", "password", "next"])?;
    let next = safe_next(form.field("next").unwrap_or("/desk")).to_owned();
    let (login, password) =
        (form.field("login").unwrap_or_default(), form.field("password").unwrap_or_default());
    let slot = state.shared.login_slots.acquire().await;
    let outcome = state.registry.log_in(login, password).await?;
    drop(slot);
    let mut wait_seconds = None;
    let (status, refusal) = match outcome {
        LogIn::Welcome(session) => {
            let cookie = set_session(&state, &session.secret);
            let mut response = Redirect::to(&next).into_response();
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            return Ok(response);
        }
        LogIn::WrongCredentials => (StatusCode::UNAUTHORIZED, Refusal::new("login.wrong")),
        LogIn::LockedUntil(until) => {
            let wait_ms = (until.0 - state.registry.now().0).max(0);
            wait_seconds = Some(wait_ms / 1000 + 1);
            let minutes = wait_ms / 60_000 + 1;
            (StatusCode::TOO_MANY_REQUESTS, Refusal::new("login.locked").with("minutes", minutes))
        }
    };
    let sentence = reader.catalogue().refusal(&refusal);
    let html = views::login(&reader.page(&state, None), &next, Some(&sentence));
    let mut response = page_with_problem(status, html);
    if let Some(seconds) = wait_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

pub(super) async fn logout(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    if let Some(session) = &caller.session {
        state.registry.log_out(&session.secret).await?;
    }
    let mut response = Redirect::to("/").into_response();
    response.headers_mut().insert(header::SET_COOKIE, set_session(&state, ""));
    Ok(response)
}

/// The filters of the case list, as they stand in the URL.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CaseQueryText {
    state: String,
    hazard: String,
    district: String,
    party: String,
    emergency: String,
    source: String,
    /// `today`, `overdue` or `long_overdue`.
    due: String,
    /// `urgent` or `due`; the newest first without.
    order: String,
    text: String,
    before: String,
    skip: String,
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

impl CaseQueryText {
    /// `state` may be a state or `open`, the default of the desk; `all` shows everything.
    fn filter(&self, now: Millis, utc_offset_minutes: i32) -> Result<CaseFilter, Refusal> {
        let states = match filled(&self.state) {
            None | Some("open") => CaseState::ALL.iter().copied().filter(|state| state.is_open()).collect(),
            Some("all") => Vec::new(),
            Some(state) => vec![state.parse()?],
        };
        Ok(CaseFilter {
            states,
            hazard: filled(&self.hazard).map(str::parse).transpose()?,
            district: filled(&self.district).map(str::to_owned),
            party: filled(&self.party)
                .map(str::parse::<PartyId>)
                .transpose()
                .map_err(|refusal| refusal.at("party"))?,
            emergency: match filled(&self.emergency) {
                None => None,
                Some("true") => Some(true),
                Some("false") => Some(false),
                Some(other) => {
                    return Err(Refusal::new("form.true_or_false")
                        .at("emergency")
                        .with("read", super::forms::shortened(other)));
                }
            },
            source: filled(&self.source).map(str::parse).transpose()?,
            due: match filled(&self.due) {
                None => None,
                Some("today") => Some(DueFilter::Before(end_of_today(now, utc_offset_minutes))),
                Some("overdue") => Some(DueFilter::Before(now)),
                Some("long_overdue") => Some(DueFilter::LongOverdue),
                Some(other) => return Err(unknown_choice("due", other, "today, overdue, long_overdue")),
            },
            order: match filled(&self.order) {
                None => CaseOrder::Newest,
                Some("urgent") => CaseOrder::Urgent,
                Some("due") => CaseOrder::Due,
                Some(other) => return Err(unknown_choice("order", other, "urgent, due")),
            },
            // They have a page of their own.
            held: Some(false),
            text: filled(&self.text).map(str::to_owned),
            before: filled(&self.before).map(str::to_owned),
            skip: self.skipped(),
            limit: PAGE,
            ..CaseFilter::default()
        })
    }

    /// Whether nobody chose anything.
    fn is_empty(&self) -> bool {
        let CaseQueryText {
            state,
            hazard,
            district,
            party,
            emergency,
            source,
            due,
            order,
            text,
            before,
            skip,
        } = self;
        [state, hazard, district, party, emergency, source, due, order, text, before, skip]
            .iter()
            .all(|text| text.is_empty())
    }

    fn skipped(&self) -> i64 {
        self.skip.parse().unwrap_or(0).clamp(0, MOST_SKIPPED)
    }

    /// The address of the page after the case `last`.
    fn next_page(&self, last: &str) -> String {
        let pairs = [
            ("state", &self.state),
            ("hazard", &self.hazard),
            ("district", &self.district),
            ("party", &self.party),
            ("emergency", &self.emergency),
            ("source", &self.source),
            ("due", &self.due),
            ("order", &self.order),
            ("text", &self.text),
        ];
        let mut out = String::from("/desk?");
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            out.push_str(&format!("{name}={}&", super::auth::percent_encode(value)));
        }
        match self.order.is_empty() {
            true => out + "before=" + last,
            false => format!("{out}skip={}", self.skipped() + PAGE),
        }
    }
}

fn unknown_choice(field: &'static str, read: &str, fits: &'static str) -> Refusal {
    Refusal::new("form.choice")
        .at(field)
        .with("field", field)
        .with("read", super::forms::shortened(read))
        .with("fits", fits)
}

/// The last moment of the day that it is in the city.
fn end_of_today(now: Millis, utc_offset_minutes: i32) -> Millis {
    const DAY_MS: i64 = 86_400_000;
    let offset = i64::from(utc_offset_minutes) * 60_000;
    Millis((now.0 + offset).div_euclid(DAY_MS) * DAY_MS + DAY_MS - 1 - offset)
}

/// Lists by urgency go through the open cases; further down nobody reads.
const MOST_SKIPPED: i64 = 20_000;
const PAGE: i64 = 50;

pub(super) async fn case_list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<CaseQueryText>,
) -> Result<Response, Problem> {
    let (now, offset) = (state.registry.now(), state.config.utc_offset_minutes);
    let mut query = query;
    if query.is_empty() && caller.user.role == Role::GridWorker {
        // They begin where they answer, and choose "any" to see the rest.
        query.district = state.registry.find_own_district(caller.user.id).await?.unwrap_or_default();
    }
    let filter = query.filter(now, offset).map_err(Problem::bad_request)?;
    let lines = state.registry.list_cases(filter, &caller.actor()).await?;
    let next =
        lines.last().filter(|_| lines.len() as i64 == PAGE).map(|line| query.next_page(&line.case.number));
    let (districts, parties) = (state.registry.list_districts().await?, state.registry.list_parties().await?);
    let shown = CaseQuery {
        state: query.state.clone(),
        hazard: query.hazard.clone(),
        district: query.district.clone(),
        party: query.party.clone(),
        emergency: query.emergency.clone(),
        source: query.source.clone(),
        due: query.due.clone(),
        order: query.order.clone(),
        text: query.text.clone(),
    };
    let held = state.registry.count_held().await?;
    let around = reader.page(&state, caller.session.as_ref());
    Ok(page(views::case_list(&around, &shown, &lines, (next.as_deref(), held), &districts, &parties, None)))
}

/// The case page, with what went wrong where something did.
async fn case_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    number: &str,
    problem: Option<(&Refusal, &MoveDraft)>,
) -> Result<String, Problem> {
    let actor = caller.actor();
    let file = state.registry.find_case(number, &actor).await?.ok_or_else(|| unknown_case(number))?;
    let parties = state.registry.list_parties().await?;
    let moves = possible_moves(&file.case, &actor);
    let moves: Vec<_> = moves.into_iter().map(|rule| (rule, IdempotencyKey::fresh())).collect();
    let around = reader.page(state, caller.session.as_ref());
    let (staff, districts) = (state.registry.list_users().await?, state.registry.list_districts().await?);
    let names = Names { parties: &parties, staff: &staff, districts: &districts };
    let advice = state.registry.advise_case(&file).await?;
    Ok(views::case_file(&around, &file, &moves, (&advice, names), problem))
}

/// The page of a case that says why something was refused, with what was typed.
pub(super) async fn refused_case_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    number: &str,
    problem: &Problem,
    typed: &str,
) -> Result<Response, Problem> {
    let draft = MoveDraft { reason: typed.to_owned(), ..MoveDraft::default() };
    let html = case_page(state, reader, caller, number, Some((&problem.refusal, &draft))).await?;
    Ok(page_with_problem(problem.status, html))
}

pub(super) fn unknown_case(number: &str) -> Problem {
    let refusal = Refusal::new("case.unknown").with("read", super::forms::shortened(number));
    Problem { status: StatusCode::NOT_FOUND, refusal }
}

pub(super) async fn case_file(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
) -> Result<Response, Problem> {
    Ok(page(case_page(&state, &reader, &caller, &number, None).await?))
}

pub(super) async fn move_case(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    mut request: Request,
) -> Result<Response, Problem> {
    DefaultBodyLimit::max(MOVE_BYTES).apply(&mut request);
    let (mut form, trouble) = Form::with_trouble(request, &state).await?;
    form.only(&[MOVE_FIELDS, &["csrf", "key", "version", "template"]].concat())?;
    caller.check_csrf(form.field("csrf"))?;
    let photos = [std::mem::take(&mut form.photos), std::mem::take(&mut form.before_photos)];
    let moved = match trouble {
        None => order_move(&state, &caller, &number, &form, photos).await,
        Some(trouble) => Err(trouble),
    };
    match moved {
        Ok(()) => {
            Ok(Redirect::to(&format!("/desk/cases/{}", super::auth::percent_encode(&number))).into_response())
        }
        Err(problem) if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND => {
            // What was typed is kept; photos must be chosen again, browsers do not let them be.
            let said = |name| form.field(name).unwrap_or_default().to_owned();
            let draft = MoveDraft {
                made: said("move"),
                party: said("party"),
                reason: said("reason"),
                target: said("target"),
                until: said("until"),
                pool: said("pool"),
                condition: said("condition"),
            };
            let wrong = Some((&problem.refusal, &draft));
            let html = case_page(&state, &reader, &caller, &number, wrong).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn order_move(
    state: &AppState,
    caller: &Caller,
    number: &str,
    form: &Form,
    [photos, before_photos]: [Vec<Bytes>; 2],
) -> Result<(), Problem> {
    let version = form
        .field("version")
        .map(|text| {
            text.parse::<i64>().map_err(|_| {
                Refusal::new("form.number")
                    .at("version")
                    .with("field", "version")
                    .with("read", super::forms::shortened(text))
            })
        })
        .transpose()?;
    let call = MoveCall {
        key: form.key()?,
        number: number.to_owned(),
        expected_version: version,
        photos,
        before_photos,
    };
    let offset = state.config.utc_offset_minutes;
    let said = SaidMove::of_form(form)?.led_by(form.field("template"));
    let order = said.order(state, caller, call, |day| end_of_day("until", day, offset)).await?;
    send_move(state, order).await.map(drop)
}

/// The last millisecond of a day such as `2026-12-31` on the city's clock.
pub(super) fn end_of_day(field: &'static str, day: &str, utc_offset_minutes: i32) -> Result<Millis, Refusal> {
    Ok(Millis(start_of_day(field, day, utc_offset_minutes, 1)?.0 - 1))
}

async fn cover_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    code: &str,
    problem: Option<&Refusal>,
) -> Result<String, Problem> {
    let whole = WholeFile::read(state, caller, code).await?;
    let position = &whole.file.survey.position;
    let neighbors = state.snapshot.load().nearest(position.lon, position.lat, 40, 120.0);
    let notice = state.registry.find_pending_claim_notice(whole.file.cover).await?;
    let view = CoverView {
        neighbors: &neighbors,
        asked: Some(AskedOf {
            rules: state.rules(),
            knows: state.rules().facts(&whole.file, whole.attached),
            this_year: state.this_year(),
            notice: notice.as_ref().map(|notice| notice.number.as_str()),
        }),
        ..whole.view()
    };
    Ok(views::cover_file(&reader.page(state, caller.session.as_ref()), &view, problem))
}

pub(super) fn unknown_cover(code: &str) -> Problem {
    let refusal = Refusal::new("cover.unknown").at("code").with("read", super::forms::shortened(code));
    Problem { status: StatusCode::NOT_FOUND, refusal }
}

pub(super) async fn cover_file(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(code): Named,
) -> Result<Response, Problem> {
    Ok(page(cover_page(&state, &reader, &caller, &code, None).await?))
}

pub(super) async fn install_plate(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(code): Named,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "token"])?;
    caller.check_csrf(form.field("csrf"))?;
    let installed = match form.needed("token").and_then(str::parse::<Token>) {
        Ok(token) => install(&state, token, &code, &caller.actor()).await.map(drop),
        Err(refusal) => Err(refusal.into()),
    };
    cover_form_answer(&state, &reader, &caller, &code, installed).await
}

/// Photos that staff took of the cover; everybody who scans its plate may see them.
pub(super) async fn add_cover_photos(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(code): Named,
    mut request: Request,
) -> Result<Response, Problem> {
    DefaultBodyLimit::max(REPORT_BYTES).apply(&mut request);
    let (mut form, trouble) = Form::with_trouble(request, &state).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    let photos = std::mem::take(&mut form.photos);
    let stored = match trouble {
        None => store_photos(&state, photos).await,
        Some(trouble) => Err(trouble),
    };
    let added = match stored {
        Ok(photos) => {
            let added = state.registry.add_cover_photos(&code, photos, &caller.actor()).await;
            added.map(|cover| state.covers_changed(&[cover.cover])).map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    cover_form_answer(&state, &reader, &caller, &code, added).await
}

/// Back to the file of the cover, which says what was wrong where something was.
async fn cover_form_answer(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    code: &str,
    done: Result<(), Problem>,
) -> Result<Response, Problem> {
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/covers/{}", super::auth::percent_encode(code))).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let html = cover_page(state, reader, caller, code, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

/// Fits the plate and has the scan pages of its cover drawn anew.
pub(super) async fn install(
    state: &AppState,
    token: Token,
    code: &str,
    actor: &Actor,
) -> Result<crate::registry::ScannedPlate, Problem> {
    let scanned = state.registry.install_plate(token, code, actor).await?;
    state.covers_changed(scanned.plate.cover.as_slice());
    Ok(scanned)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichPhoto {
    original: Option<String>,
}

/// A handler sees photos of their party's cases and those of the cover itself, which are for everybody.
pub(super) fn may_see_photo(user: &User, photo: &PhotoRecord, cases: &[Case]) -> bool {
    user.role != Role::Handler
        || match photo.case {
            None => photo.report.is_none(),
            Some(id) => {
                cases.iter().any(|case| case.id == id && case.party.is_some() && case.party == user.party)
            }
        }
}

/// A photo for staff: the rendition, or for those who keep the registry the original with its
/// metadata.
pub(super) async fn photo(
    State(state): State<AppState>,
    caller: Caller,
    Named(digest): Named,
    Asked(which): Asked<WhichPhoto>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("photo.unknown");
    let digest: PhotoDigest = digest.parse().map_err(|_| unknown())?;
    let uses = state.registry.list_photo_uses(&digest.0).await?;
    let mut seen = false;
    for record in &uses {
        let cases = match record.case {
            Some(_) if caller.user.role == Role::Handler => {
                state.registry.list_manhole_cases(record.manhole).await?
            }
            _ => Vec::new(),
        };
        seen |= may_see_photo(&caller.user, record, &cases);
        if let (false, Some(party)) = (seen, caller.user.party) {
            seen = state.registry.is_feedback_of(record, party).await?;
        }
    }
    if !seen {
        return Err(unknown());
    }
    if which.original.is_none() {
        return public_photo(&state, &headers, digest.0, "private, max-age=3600").await;
    }
    if !matches!(caller.user.role, Role::Supervisor | Role::Engineer | Role::Admin) {
        let refusal = Refusal::new("http.role")
            .with("role", caller.user.role)
            .with("fits", "supervisor, engineer, admin");
        return Err(Problem { status: StatusCode::FORBIDDEN, refusal });
    }
    let photos = state.photos.clone();
    let bytes = read_file(move || photos.open_original(digest)).await?;
    let media_type =
        uses.first().map_or("application/octet-stream", |record| record.media_type.as_str()).to_owned();
    let headers =
        [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "private, no-store".to_owned())];
    Ok((headers, bytes).into_response())
}
