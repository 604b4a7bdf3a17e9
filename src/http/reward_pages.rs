//! 红包奖励: where a reward is paid to, said behind the secret link of a report; the ledger, its review and payouts.

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::api_rewards::{RewardQuery, read_results, reward_id};
use super::ask::{Asked, From, Named, Nothing, Reader};
use super::auth::Caller;
use super::desk::page;
use super::forms::Form;
use super::problem::page_with_problem;
use super::public::known_report;
use super::views::{self, RewardListView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::reward::RewardStep;
use crate::registry::{ResultsTaken, RewardClaim, RewardOrder};

/// Bytes of a payer's file.
const RESULTS_BYTES: usize = 2 << 20;

/// What whoever reported can expect, and where it shall be paid to.
pub(super) async fn offer(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    _: Asked<Nothing>,
    Named(link): Named,
) -> Result<Response, Problem> {
    let tracked = known_report(&state, network, &link).await?;
    let offer = state.registry.find_reward_offer(&tracked).await?;
    Ok(page(views::reward(&reader.page(&state, None), (&link, &tracked), &offer, ("", "", None))))
}

pub(super) async fn claim(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    Named(link): Named,
    request: Request,
) -> Result<Response, Problem> {
    let tracked = known_report(&state, network, &link).await?;
    let form = Form::from_request(request, &state).await?;
    form.only(&["key", "payee", "payee_name"])?;
    let said = |name| form.field(name).unwrap_or_default().to_owned();
    let claimed = match form.key() {
        Ok(key) => {
            let (payee, payee_name) = (said("payee"), said("payee_name"));
            let claim = RewardClaim { key, link: link.clone(), payee, payee_name };
            state.registry.claim_reward(claim).await.map_err(Problem::from)
        }
        Err(refusal) => Err(refusal.into()),
    };
    match claimed {
        Ok(_) => Ok(Redirect::to(&format!("/r/{link}/reward")).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let offer = state.registry.find_reward_offer(&tracked).await?;
            let (payee, name) = (said("payee"), said("payee_name"));
            let typed = (payee.as_str(), name.as_str(), Some(&problem.refusal));
            let html = views::reward(&reader.page(&state, None), (&link, &tracked), &offer, typed);
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

pub(super) async fn list(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<RewardQuery>,
) -> Result<Response, Problem> {
    Ok(page(list_page(&state, &reader, &caller, &query, (None, None)).await?))
}

async fn list_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    query: &RewardQuery,
    (wrong, taken): (Option<&Refusal>, Option<&ResultsTaken>),
) -> Result<String, Problem> {
    let filter = query.filter().map_err(Problem::bad_request)?;
    let month = filter.month.clone();
    let page_size = filter.limit;
    let rewards = state.registry.list_rewards(filter).await?;
    let view = RewardListView {
        next: rewards.last().filter(|_| rewards.len() as i64 == page_size).map(|last| last.id),
        rewards: &rewards,
        sums: &state.registry.count_rewards(month.as_deref()).await?,
        payouts: &state.registry.list_payouts().await?,
        state: &query.state,
        month: &query.month,
        rules: state.registry.reward_rules(),
        wrong,
        taken,
    };
    Ok(views::rewards(&reader.page(state, caller.session.as_ref()), &view))
}

/// A review, a payout, or what the payer says back.
pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::with_texts(request, &state, &["results"], RESULTS_BYTES).await?;
    form.only(&["csrf", "key", "id", "step", "note", "payout", "results", "state", "month"])?;
    caller.check_csrf(form.field("csrf"))?;
    let query = RewardQuery {
        state: form.field("state").unwrap_or_default().to_owned(),
        month: form.field("month").unwrap_or_default().to_owned(),
        ..RewardQuery::default()
    };
    match carry_out(&state, &caller, &form).await {
        Ok(Some(taken)) => Ok(page(list_page(&state, &reader, &caller, &query, (None, Some(&taken))).await?)),
        Ok(None) => {
            let address = format!("/admin/rewards?state={}&month={}", query.state, query.month);
            query.filter().map_err(Problem::bad_request)?;
            Ok(Redirect::to(&address).into_response())
        }
        Err(problem) if problem.status.is_client_error() && problem.status != StatusCode::NOT_FOUND => {
            let html = list_page(&state, &reader, &caller, &query, (Some(&problem.refusal), None)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn carry_out(state: &AppState, caller: &Caller, form: &Form) -> Result<Option<ResultsTaken>, Problem> {
    let actor = caller.actor();
    if let Some(number) = form.field("payout") {
        let results = read_results(form.needed("results")?.as_bytes())?;
        return Ok(Some(state.registry.take_results(number, results, &actor).await?));
    }
    let key = form.key()?;
    let step = form.needed("step")?.parse::<RewardStep>()?;
    if step == RewardStep::Export {
        state.registry.make_payout(key, &actor).await?;
        return Ok(None);
    }
    let order = RewardOrder {
        key,
        id: reward_id(form.needed("id")?)?,
        step,
        note: form.field("note").unwrap_or_default().to_owned(),
        actor,
    };
    state.registry.review_reward(order).await?;
    Ok(None)
}
