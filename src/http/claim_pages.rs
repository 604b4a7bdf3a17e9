//! 无主井盖认领: notices of covers without an owner, what parties say, what the desk decides.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::stream;
use serde::Deserialize;

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::{Caller, percent_encode};
use super::csv_body;
use super::desk::page;
use super::edit_page::Lists;
use super::forms::{Form, shortened};
use super::problem::page_with_problem;
use super::views::{self, ClaimNoticeView, ClaimsView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::claim::{ClaimState, ClaimStep};
use crate::domain::cover::CoverClass;
use crate::domain::ids::{CoverId, IdempotencyKey, Millis, PartyId};
use crate::domain::quality::Finding;
use crate::domain::role::Role;
use crate::quality::FileFilter;
use crate::registry::{ClaimFilter, ClaimNoticeFile, ClaimNoticeSet, ClaimOrder, NewClaimNotice};

/// Notices and covers of a notice on one page. A form has a field for each cover.
const NOTICES: i64 = 50;
const COVERS: i64 = 40;
const CSV_PAGE: i64 = 200;

/// Who opens notices and decides about claims.
pub(super) const CLAIM_DESK: &[Role] = &[Role::Dispatcher, Role::Supervisor, Role::Engineer, Role::Admin];
/// Those and the people of parties, who speak for their own.
pub(super) const CLAIM_VOICES: &[Role] =
    &[Role::Handler, Role::Dispatcher, Role::Supervisor, Role::Engineer, Role::Admin];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    #[serde(default)]
    before: String,
}

/// When a notice that is opened now is over.
pub(super) fn due_at(state: &AppState) -> Millis {
    let (rules, offset) = (state.rules(), state.config.utc_offset_minutes);
    rules.calendar.end_after(state.registry.now(), rules.claims.notice_days, offset)
}

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<Before>,
) -> Result<Response, Problem> {
    Ok(page(list_page(&state, &reader, &caller, query.before.trim(), None).await?))
}

async fn list_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    before: &str,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let before = Some(before).filter(|before| !before.is_empty());
    let notices = state.registry.list_claim_notices(before, NOTICES).await?;
    let lists = Lists::read(state).await?;
    let ownerless = state
        .ask_board(|board| {
            let sums = board.sums();
            let by_district: BTreeMap<String, u64> =
                sums.into_iter().map(|(code, sum)| (code, sum.count(Finding::Ownerless))).collect();
            let by_class = CoverClass::ALL.iter().map(|class| {
                let filter = FileFilter {
                    finding: Some(Finding::Ownerless),
                    class: Some(*class),
                    ..FileFilter::default()
                };
                (*class, board.count(&filter) as u64)
            });
            (by_district, by_class.filter(|(_, count)| *count > 0).collect::<Vec<_>>())
        })
        .await?;
    let view = ClaimsView {
        notices: &notices,
        by_district: &ownerless.0,
        by_class: &ownerless.1,
        names: lists.names(),
        rules: &state.rules().claims,
        due_at: due_at(state),
        next: notices
            .last()
            .filter(|_| notices.len() as i64 == NOTICES)
            .map(|last| last.notice.number.clone()),
        key: IdempotencyKey::fresh(),
        may_decide: CLAIM_DESK.contains(&caller.user.role),
        wrong,
    };
    Ok(views::claim_notices(&reader.page(state, caller.session.as_ref()), &view))
}

fn to_notice(number: &str) -> Response {
    Redirect::to(&format!("/quality/claims/{}", percent_encode(number))).into_response()
}

/// Opens a notice of all ownerless covers here and of this class, or of one cover.
pub(super) async fn open(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "district", "class", "code", "reason"])?;
    caller.check_csrf(form.field("csrf"))?;
    match begin(&state, &caller, &form).await {
        Ok(number) => Ok(to_notice(&number)),
        Err(problem) if problem.status.is_client_error() => {
            let html = list_page(&state, &reader, &caller, "", Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn begin(state: &AppState, caller: &Caller, form: &Form) -> Result<String, Problem> {
    let set = match form.field("code") {
        Some(code) => {
            let file = state.registry.find_cover_by_code(code).await?;
            ClaimNoticeSet::Covers(vec![file.ok_or_else(|| super::desk::unknown_cover(code))?.cover])
        }
        None => ClaimNoticeSet::Found {
            district: form.field("district").map(str::to_owned),
            class: form.field("class").map(str::parse).transpose()?,
        },
    };
    let order = NewClaimNotice {
        key: form.key()?,
        set,
        reason: form.needed("reason")?.to_owned(),
        due_at: due_at(state),
        actor: caller.actor(),
    };
    let notice = state.registry.open_claim_notice(order).await?;
    if notice.cursor.is_some() {
        // It may be many covers; whoever opened it watches them come in.
        let (registry, number) = (state.registry.clone(), notice.number.clone());
        tokio::spawn(async move {
            if let Err(error) = registry.fill_claim_notice(&number).await {
                tracing::warn!(notice.number = %number, %error, "a notice waits for its covers");
            }
        });
    }
    Ok(notice.number)
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClaimQuery {
    pub state: String,
    pub cursor: String,
}

/// The word for covers that several parties claim.
const CONTESTED: &str = "contested";

impl ClaimQuery {
    pub(super) fn filter(&self, limit: i64) -> Result<ClaimFilter, Refusal> {
        let state = Some(self.state.trim()).filter(|state| !state.is_empty());
        let after = Some(self.cursor.trim()).filter(|cursor| !cursor.is_empty());
        Ok(ClaimFilter {
            contested: state == Some(CONTESTED),
            state: state.filter(|state| *state != CONTESTED).map(str::parse::<ClaimState>).transpose()?,
            after: after.map(str::parse::<CoverId>).transpose().map_err(|refusal| refusal.at("cursor"))?,
            limit,
        })
    }
}

pub(super) async fn known(state: &AppState, number: &str) -> Result<ClaimNoticeFile, Problem> {
    let unknown = || {
        let refusal = Refusal::new("claim.unknown").with("read", shortened(number));
        Problem { status: axum::http::StatusCode::NOT_FOUND, refusal }
    };
    state.registry.find_claim_notice(number).await?.ok_or_else(unknown)
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    Asked(query): Asked<ClaimQuery>,
) -> Result<Response, Problem> {
    let notice = known(&state, &number).await?;
    let is_filling = notice.notice.cursor.is_some();
    let mut response = page(notice_page(&state, &reader, &caller, notice, &query, &[]).await?);
    if is_filling {
        response.headers_mut().insert("refresh", axum::http::HeaderValue::from_static("2"));
    }
    Ok(response)
}

async fn notice_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    notice: ClaimNoticeFile,
    query: &ClaimQuery,
    wrong: &[Refusal],
) -> Result<String, Problem> {
    let filter = query.filter(COVERS).map_err(Problem::bad_request)?;
    let lines = state.registry.list_claims(&notice.notice.number, filter).await?;
    let lists = Lists::read(state).await?;
    let view = ClaimNoticeView {
        next: lines.last().filter(|_| lines.len() as i64 == COVERS).map(|line| line.file.cover),
        notice: &notice,
        lines: &lines,
        query_state: query.state.trim(),
        cursor: query.cursor.trim(),
        names: lists.names(),
        own_party: caller.user.party,
        may_decide: CLAIM_DESK.contains(&caller.user.role),
        wrong,
    };
    Ok(views::claim_notice(&reader.page(state, caller.session.as_ref()), &view))
}

/// Does one step about every cover that was ticked. What cannot be done is named, the rest is done.
pub(super) async fn step(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(number): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only_or_beginning(&["csrf", "step", "party", "reason", "state", "cursor"], "cover:")?;
    caller.check_csrf(form.field("csrf"))?;
    let query = ClaimQuery {
        state: form.field("state").unwrap_or_default().to_owned(),
        cursor: form.field("cursor").unwrap_or_default().to_owned(),
    };
    let number = known(&state, &number).await?.notice.number;
    let mut wrong = Vec::new();
    let mut status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
    let mut ticked = 0;
    let covers: Vec<(String, String)> =
        form.beginning("cover:").map(|(cover, version)| (cover.to_owned(), version.to_owned())).collect();
    for (cover, version) in covers {
        ticked += 1;
        match step_one(&state, &caller, &form, &number, (&cover, &version)).await {
            Ok(cover) => state.covers_changed(&[cover]),
            Err(problem) if problem.status.is_client_error() => {
                status = problem.status;
                if !wrong.contains(&problem.refusal) {
                    wrong.push(problem.refusal);
                }
            }
            Err(problem) => return Err(problem),
        }
    }
    if ticked == 0 {
        wrong.push(Refusal::new("claim.none_ticked").at("cover"));
    }
    let notice = known(&state, &number).await?;
    if wrong.is_empty() {
        let pairs = [("state", query.state.as_str()), ("cursor", query.cursor.as_str())];
        let pairs: Vec<String> = pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", percent_encode(value)))
            .collect();
        let address =
            format!("/quality/claims/{}?{}", percent_encode(&notice.notice.number), pairs.join("&"));
        return Ok(Redirect::to(address.trim_end_matches('?')).into_response());
    }
    Ok(page_with_problem(status, notice_page(&state, &reader, &caller, notice, &query, &wrong).await?))
}

async fn step_one(
    state: &AppState,
    caller: &Caller,
    form: &Form,
    notice: &str,
    (cover, version): (&str, &str),
) -> Result<CoverId, Problem> {
    let cover: CoverId = cover.parse().map_err(|refusal: Refusal| refusal.at("cover"))?;
    let expected_version = version.parse().map_err(|_| {
        Refusal::new("form.whole_number").at("cover").with("field", "cover").with("read", shortened(version))
    })?;
    let named = form.field("party").map(str::parse::<PartyId>).transpose();
    let named = named.map_err(|refusal| refusal.at("party"))?;
    let step = match named {
        // Without a name the only claim is meant.
        None => match state.registry.list_claims(notice, one(cover)).await?.pop() {
            Some(line) if line.file.cover == cover => only_claimant(&line.claim),
            _ => None,
        },
        named => named,
    };
    let step = read_step(form.needed("step")?, caller, step)?;
    let order = ClaimOrder {
        notice: notice.to_owned(),
        cover,
        expected_version,
        step,
        reason: form.field("reason").unwrap_or_default().to_owned(),
        actor: caller.actor(),
    };
    state.registry.step_claim(order).await?;
    Ok(cover)
}

/// The filter that begins with one cover.
fn one(cover: CoverId) -> ClaimFilter {
    let before = uuid::Uuid::from_u128(cover.0.as_u128().saturating_sub(1));
    ClaimFilter { after: Some(CoverId(before)), limit: 1, ..ClaimFilter::default() }
}

fn only_claimant(claim: &crate::domain::claim::Claim) -> Option<PartyId> {
    let mut claimants = claim.claimants();
    claimants.next().filter(|_| claimants.next().is_none())
}

/// A step as somebody asks for it: parties speak for themselves, the desk about a party.
pub(super) fn read_step(word: &str, caller: &Caller, about: Option<PartyId>) -> Result<ClaimStep, Problem> {
    let is_desk = CLAIM_DESK.contains(&caller.user.role);
    let own = || caller.user.party.ok_or_else(|| Refusal::new("claim.no_party"));
    let about = || about.ok_or_else(|| Refusal::new("claim.which_party").at("party"));
    Ok(match word {
        "claim" => ClaimStep::Claim(own()?),
        "decline" => ClaimStep::Decline(own()?),
        "take_back" => ClaimStep::TakeBack(own()?),
        "award" | "set_aside" | "withdraw" | "undo" if !is_desk => {
            let fits = CLAIM_DESK.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
            let refusal = Refusal::new("http.role").with("role", caller.user.role).with("fits", fits);
            return Err(Problem { status: axum::http::StatusCode::FORBIDDEN, refusal });
        }
        "award" => ClaimStep::Award(about()?),
        "set_aside" => ClaimStep::SetAside(about()?),
        "withdraw" => ClaimStep::Withdraw,
        "undo" => ClaimStep::Undo,
        other => {
            let fits = "claim, decline, take_back, award, set_aside, withdraw, undo";
            return Err(Refusal::new("claim.step")
                .at("step")
                .with("read", shortened(other))
                .with("fits", fits)
                .into());
        }
    })
}

pub(super) async fn list_csv(
    State(state): State<AppState>,
    reader: Reader,
    Named(number): Named,
    Asked(query): Asked<ClaimQuery>,
) -> Result<Response, Problem> {
    let notice = known(&state, &number).await?.notice.number;
    let filter = query.filter(CSV_PAGE).map_err(Problem::bad_request)?;
    let headings = views::claim_headings(&reader.page(&state, None));
    let name = format!("claims-{notice}");
    let parties = state.registry.list_parties().await?;
    let start = (state, reader, notice, parties, Some(filter));
    let pages = stream::try_unfold(start, |(state, reader, notice, parties, filter)| async move {
        let Some(mut filter) = filter else { return Ok::<_, Problem>(None) };
        let lines = state.registry.list_claims(&notice, filter.clone()).await?;
        let Some(last) = lines.last() else { return Ok(None) };
        filter.after = Some(last.file.cover);
        let around = reader.page(&state, None);
        let rows: Vec<Vec<String>> =
            lines.iter().map(|line| views::claim_cells(&around, &parties, line)).collect();
        let next = (lines.len() as i64 == CSV_PAGE).then_some(filter);
        Ok(Some((rows, (state, reader, notice, parties, next))))
    });
    Ok(csv_body::csv(&name, headings, pages))
}
