//! 督办单: the list with what each year comes to, drafts, one notice with what may be done about it, and its print.

use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::{Caller, percent_encode};
use super::desk::{end_of_day, page};
use super::edit_page::Lists;
use super::forms::{Form, shortened, store_photos};
use super::problem::page_with_problem;
use super::public::REPORT_BYTES;
use super::views::{self, NoticeForm, NoticeFormView, NoticeListView, NoticeView};
use super::{AppState, Problem, paper};
use crate::domain::Refusal;
use crate::domain::ids::{IdempotencyKey, Millis, PartyId};
use crate::domain::notice::{NoticeMove, NoticeStanding};
use crate::domain::role::Role;
use crate::plates::render_letter;
use crate::registry::{
    CandidateFilter, NoticeAnswer, NoticeDraft, NoticeFile, NoticeFilter, NoticeOrder, NoticeText,
};

pub(super) use crate::domain::notice::{NOTICE_DESK, NOTICE_PARTIES, NOTICE_READERS};

/// Those who do something with a notice.
pub(super) const NOTICE_ACTORS: &[Role] = &[Role::Handler, Role::Dispatcher, Role::Supervisor, Role::Admin];
const PAGE: i64 = 50;

/// The filters of the list, as they stand in the address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NoticeQuery {
    pub year: String,
    pub state: String,
    pub party: String,
    pub before: String,
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn party(text: &str, field: &'static str) -> Result<Option<PartyId>, Refusal> {
    filled(text).map(str::parse::<PartyId>).transpose().map_err(|refusal| refusal.at(field))
}

fn truth(text: &str, field: &'static str) -> Result<bool, Refusal> {
    match filled(text) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Refusal::new("form.true_or_false").at(field).with("read", shortened(other))),
    }
}

/// A whole number of a query.
fn whole<T: std::str::FromStr>(text: &str, field: &'static str) -> Result<Option<T>, Refusal> {
    let wrong = |text: &str| {
        Refusal::new("form.whole_number").at(field).with("field", field).with("read", shortened(text))
    };
    filled(text).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

impl NoticeQuery {
    pub(super) async fn filter(&self, state: &AppState, limit: i64) -> Result<NoticeFilter, Problem> {
        let before = match filled(&self.before) {
            None => None,
            Some(reference) => Some(state.registry.find_notice_cursor(reference).await.map_err(|error| {
                let problem = Problem::from(error);
                match problem.status.is_client_error() {
                    true => Problem::bad_request(problem.refusal),
                    false => problem,
                }
            })?),
        };
        let filter = || -> Result<NoticeFilter, Refusal> {
            Ok(NoticeFilter {
                year: whole(&self.year, "year")?,
                standing: filled(&self.state).map(str::parse::<NoticeStanding>).transpose()?,
                party: party(&self.party, "party")?,
                issued_only: false,
                before,
                limit,
            })
        };
        filter().map_err(Problem::bad_request)
    }

    fn next_page(&self, last: &str) -> String {
        let pairs = [("year", &self.year), ("state", &self.state), ("party", &self.party)];
        let mut out = String::from("/desk/notices?");
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            out.push_str(&format!("{name}={}&", percent_encode(value)));
        }
        out + "before=" + last
    }
}

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<NoticeQuery>,
) -> Result<Response, Problem> {
    let actor = caller.actor();
    let filter = query.filter(&state, PAGE).await?;
    let lines = state.registry.list_notices(filter, &actor).await?;
    let years = state.registry.count_notice_years(&actor).await?;
    let overdue = state.registry.list_overdue_parties(&actor).await?;
    let lists = Lists::read(&state).await?;
    let view = NoticeListView {
        lines: &lines,
        years: &years,
        overdue: &overdue,
        names: lists.names(),
        query: [&query.year, &query.state, &query.party].map(|text| text.trim()),
        next: lines
            .last()
            .filter(|_| lines.len() as i64 == PAGE)
            .map(|line| query.next_page(&line.notice.reference())),
        may_draft: NOTICE_DESK.contains(&caller.user.role),
        is_party: caller.user.role == Role::Handler,
    };
    Ok(page(views::notice_list(&reader.page(&state, caller.session.as_ref()), &view)))
}

/// Which open cases the form offers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewQuery {
    pub party: String,
    pub hazard: String,
    pub district: String,
    pub days: String,
    pub overdue: String,
    pub fresh: String,
}

impl NewQuery {
    fn filter(&self) -> Result<CandidateFilter, Refusal> {
        if self.district.contains('\0') {
            return Err(Refusal::new("text.control_character").at("district"));
        }
        Ok(CandidateFilter {
            party: party(&self.party, "party")?,
            hazard: filled(&self.hazard).map(str::parse).transpose()?,
            district: filled(&self.district).map(str::to_owned),
            days: whole(&self.days, "days")?,
            overdue: truth(&self.overdue, "overdue")?,
            fresh: truth(&self.fresh, "fresh")?,
        })
    }
}

pub(super) async fn new_form(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<NewQuery>,
) -> Result<Response, Problem> {
    Ok(page(form_page(&state, &reader, &caller, &query, NoticeForm::default(), None).await?))
}

async fn form_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    query: &NewQuery,
    typed: NoticeForm,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let filter = query.filter().map_err(Problem::bad_request)?;
    let candidates = state.registry.list_notice_candidates(&filter).await?;
    let lists = Lists::read(state).await?;
    let view = NoticeFormView {
        candidates: &candidates,
        names: lists.names(),
        query: [&query.party, &query.hazard, &query.district, &query.days, &query.overdue, &query.fresh]
            .map(|text| text.trim()),
        typed: &typed,
        key: IdempotencyKey::fresh(),
        wrong,
    };
    Ok(views::notice_form(&reader.page(state, caller.session.as_ref()), &view))
}

const TEXT_FIELDS: &[&str] =
    &["csrf", "key", "version", "step", "title", "body", "due", "to", "cases", "reason"];

/// What was typed into the form of a draft; the numbers of the cases that were ticked come behind those that were typed.
fn typed(form: &Form) -> NoticeForm {
    let said = |name| form.field(name).unwrap_or_default().to_owned();
    let mut cases: Vec<String> = said("cases").split_whitespace().map(str::to_owned).collect();
    for (number, _) in form.beginning("case:") {
        if !cases.iter().any(|known| known == number) {
            cases.push(number.to_owned());
        }
    }
    NoticeForm { title: said("title"), body: said("body"), due: said("due"), to: said("to"), cases }
}

fn draft_of(state: &AppState, caller: &Caller, form: &Form) -> Result<NoticeDraft, Refusal> {
    let said = typed(form);
    let due = form.needed("due")?;
    Ok(NoticeDraft {
        key: form.key()?,
        text: NoticeText {
            due_at: end_of_day("due", due, state.config.utc_offset_minutes)?,
            to: party(&said.to, "to")?,
            title: said.title,
            body: said.body,
            cases: said.cases,
        },
        actor: caller.actor(),
    })
}

pub(super) async fn create(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only_or_beginning(TEXT_FIELDS, "case:")?;
    caller.check_csrf(form.field("csrf"))?;
    let drafted = match draft_of(&state, &caller, &form) {
        Ok(draft) => state.registry.draft_notice(draft).await.map_err(Problem::from),
        Err(refusal) => Err(refusal.into()),
    };
    match drafted {
        Ok(file) => Ok(to_notice(&file.notice.reference())),
        Err(problem) if problem.status.is_client_error() => {
            let query = NewQuery::default();
            let html =
                form_page(&state, &reader, &caller, &query, typed(&form), Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn to_notice(reference: &str) -> Response {
    Redirect::to(&format!("/desk/notices/{}", percent_encode(reference))).into_response()
}

pub(super) async fn known(state: &AppState, caller: &Caller, reference: &str) -> Result<NoticeFile, Problem> {
    let unknown = || {
        let refusal = Refusal::new("notice.unknown").with("read", shortened(reference));
        Problem { status: StatusCode::NOT_FOUND, refusal }
    };
    state.registry.find_notice(reference, &caller.actor()).await?.ok_or_else(unknown)
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(reference): Named,
) -> Result<Response, Problem> {
    Ok(page(notice_page(&state, &reader, &caller, &reference, None).await?))
}

async fn notice_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    reference: &str,
    wrong: Option<(&Refusal, &NoticeForm)>,
) -> Result<String, Problem> {
    let file = known(state, caller, reference).await?;
    let lists = Lists::read(state).await?;
    let view = NoticeView {
        file: &file,
        names: lists.names(),
        own_party: caller.user.party.filter(|_| caller.user.role == Role::Handler),
        wrong,
    };
    Ok(views::notice_file(&reader.page(state, caller.session.as_ref()), &view))
}

/// Changes a draft, issues, withdraws or confirms.
pub(super) async fn step(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(reference): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only_or_beginning(TEXT_FIELDS, "case:")?;
    caller.check_csrf(form.field("csrf"))?;
    match take_step(&state, &caller, &reference, &form).await {
        Ok(file) => Ok(to_notice(&file.notice.reference())),
        Err(problem) if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND => {
            let typed = typed(&form);
            let html =
                notice_page(&state, &reader, &caller, &reference, Some((&problem.refusal, &typed))).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn take_step(
    state: &AppState,
    caller: &Caller,
    reference: &str,
    form: &Form,
) -> Result<NoticeFile, Problem> {
    let made: NoticeMove = form.needed("step")?.parse()?;
    let version = whole(form.field("version").unwrap_or_default(), "version")?;
    if made == NoticeMove::Edit {
        let draft = draft_of(state, caller, form)?;
        return Ok(state.registry.edit_notice(reference, version, draft).await?);
    }
    let order = NoticeOrder {
        key: form.key()?,
        notice: reference.to_owned(),
        expected_version: version,
        made,
        reason: form.field("reason").unwrap_or_default().to_owned(),
        actor: caller.actor(),
    };
    Ok(state.registry.move_notice(order).await?)
}

/// What an addressee says of one case, with photos.
pub(super) async fn feed_back(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(reference): Named,
    _: Asked<Nothing>,
    mut request: Request,
) -> Result<Response, Problem> {
    DefaultBodyLimit::max(REPORT_BYTES).apply(&mut request);
    let (mut form, trouble) = Form::with_trouble(request, &state).await?;
    form.only(&["csrf", "key", "case", "text"])?;
    caller.check_csrf(form.field("csrf"))?;
    let photos = std::mem::take(&mut form.photos);
    let answered = match trouble {
        Some(trouble) => Err(trouble),
        None => answer(&state, &caller, &reference, &form, photos).await,
    };
    match answered {
        Ok(file) => Ok(to_notice(&file.notice.reference())),
        Err(problem) if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND => {
            let said = |name| form.field(name).unwrap_or_default().to_owned();
            let typed = NoticeForm { body: said("text"), cases: vec![said("case")], ..NoticeForm::default() };
            let html =
                notice_page(&state, &reader, &caller, &reference, Some((&problem.refusal, &typed))).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn answer(
    state: &AppState,
    caller: &Caller,
    reference: &str,
    form: &Form,
    photos: Vec<axum::body::Bytes>,
) -> Result<NoticeFile, Problem> {
    let answer = NoticeAnswer {
        key: form.key()?,
        notice: reference.to_owned(),
        case: form.needed("case")?.to_owned(),
        text: form.needed("text")?.to_owned(),
        photos: store_photos(state, photos).await?,
        actor: caller.actor(),
    };
    Ok(state.registry.answer_notice(answer).await?)
}

/// The notice as it is signed and sent; people of a party get their party's copy.
pub(super) async fn print(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(reference): Named,
) -> Result<Response, Problem> {
    let file = known(&state, &caller, &reference).await?;
    let lists = Lists::read(&state).await?;
    let letter = views::notice_paper(&reader.page(&state, caller.session.as_ref()), &file, lists.names());
    let pdf = paper::drawn(move |pdf| render_letter(&letter, pdf)).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"notice-{}.pdf\"", file.notice.reference())),
    ];
    Ok((headers, pdf).into_response())
}

/// The instant of a day for programs: RFC 3339.
pub(super) fn due_at(text: &str) -> Result<Millis, Refusal> {
    super::edit_fields::moment(text, "due_at")
}
