//! 红包奖励 for programs: the ledger, payouts for the payer, and what the payer says back.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Reader, Said, has_media_type, idempotency_key};
use super::auth::Caller;
use super::cover_query::limit;
use super::csv_body;
use super::forms::shortened;
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::ids::RewardId;
use crate::domain::reward::{Payout, Reward, RewardState, RewardStep, money, reviewer_steps};
use crate::import::decode_text;
use crate::messages::{Catalogue, Language};
use crate::registry::{PaymentResult, ResultsTaken, RewardFilter, RewardOrder, RewardStepRecord};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RewardQuery {
    pub(super) state: String,
    pub(super) month: String,
    pub(super) limit: Option<String>,
    pub(super) cursor: String,
}

impl RewardQuery {
    pub(super) fn filter(&self) -> Result<RewardFilter, Refusal> {
        let filled = |text: &'_ str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let month = filled(&self.month);
        if let Some(month) = &month {
            let is_month = month.len() == 7
                && month.bytes().enumerate().all(|(at, byte)| match at {
                    4 => byte == b'-',
                    _ => byte.is_ascii_digit(),
                });
            if !is_month {
                return Err(Refusal::new("reward.month").at("month").with("read", shortened(month)));
            }
        }
        Ok(RewardFilter {
            state: filled(&self.state).map(|state| state.parse()).transpose()?,
            month,
            payout: None,
            before: filled(&self.cursor)
                .map(|id| id.parse::<RewardId>().map_err(|refusal| refusal.at("cursor")))
                .transpose()?,
            limit: limit(self.limit.as_deref(), 50, 200)?,
        })
    }
}

pub(super) async fn list_rewards(
    State(state): State<AppState>,
    Asked(query): Asked<RewardQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter().map_err(Problem::bad_request)?;
    let (page_size, month) = (filter.limit, filter.month.clone());
    let rewards = state.registry.list_rewards(filter).await?;
    let sums = state.registry.count_rewards(month.as_deref()).await?;
    let sum = |(state, count, fen): &(_, i64, i64)| json!({"state": state, "count": count, "fen": fen});
    let mut answer = json!({
        "rewards": rewards.iter().map(reward_shape).collect::<Vec<_>>(),
        "sums": sums.iter().map(sum).collect::<Vec<_>>(),
    });
    if let Some(last) = rewards.last().filter(|_| rewards.len() as i64 == page_size) {
        answer["next"] = json!(last.id);
    }
    Ok(Json(answer).into_response())
}

fn reward_shape(reward: &Reward) -> Value {
    shapes::known([
        ("id", json!(reward.id)),
        ("tracking", json!(reward.tracking)),
        ("case_number", json!(reward.case_number)),
        ("hazard", json!(reward.hazard)),
        ("payee", json!(reward.payee)),
        ("payee_name", json!(reward.payee_name)),
        ("amount_fen", json!(reward.amount_fen)),
        ("month", json!(reward.month)),
        ("state", json!(reward.state)),
        ("reason", json!(reward.reason)),
        ("note", json!(reward.note)),
        ("payment", json!(reward.payment)),
        ("created_at", json!(reward.created_at.to_rfc3339())),
        ("updated_at", json!(reward.updated_at.to_rfc3339())),
        ("steps", json!(reviewer_steps(reward.state))),
    ])
}

pub(super) fn reward_id(text: &str) -> Result<RewardId, Problem> {
    text.parse().map_err(|_| {
        let refusal = Refusal::new("reward.unknown").with("read", shortened(text));
        Problem { status: StatusCode::NOT_FOUND, refusal }
    })
}

/// A reward with every step of it.
pub(super) async fn find_reward(
    State(state): State<AppState>,
    Named(id): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let reward = state.registry.known_reward(reward_id(&id)?).await?;
    let steps = state.registry.list_reward_steps(reward.id).await?;
    let mut answer = reward_shape(&reward);
    let step = |record: &RewardStepRecord| {
        json!({
            "at": record.at.to_rfc3339(),
            "actor": record.actor,
            "step": record.step,
            "state": record.state,
            "note": record.note,
        })
    };
    answer["history"] = steps.iter().map(step).collect();
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepBody {
    step: String,
    #[serde(default)]
    note: String,
}

pub(super) async fn step_reward(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    headers: HeaderMap,
    Said(body): Said<StepBody>,
) -> Result<Response, Problem> {
    let order = RewardOrder {
        key: idempotency_key(&headers)?,
        id: reward_id(&id)?,
        step: body.step.parse::<RewardStep>()?,
        note: body.note,
        actor: caller.actor(),
    };
    Ok(Json(reward_shape(&state.registry.review_reward(order).await?)).into_response())
}

fn payout_shape(payout: &Payout) -> Value {
    json!({
        "number": payout.number,
        "created_at": payout.created_at.to_rfc3339(),
        "count": payout.count,
        "total_fen": payout.total_fen,
        "paid": payout.paid,
        "failed": payout.failed,
    })
}

pub(super) async fn list_payouts(
    State(state): State<AppState>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let payouts = state.registry.list_payouts().await?;
    let payouts: Vec<Value> = payouts.iter().map(payout_shape).collect();
    Ok(Json(json!({"payouts": payouts})).into_response())
}

pub(super) async fn create_payout(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let payout = state.registry.make_payout(idempotency_key(&headers)?, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(payout_shape(&payout))).into_response())
}

/// The headings of the payer's file, in the order of its columns.
const COLUMNS: [&str; 7] = [
    "rewards.csv_tracking",
    "rewards.csv_payee",
    "rewards.csv_name",
    "rewards.csv_amount",
    "rewards.csv_currency",
    "rewards.csv_result",
    "rewards.csv_payment",
];

/// The file for the payer, with two columns to be filled in and sent back.
pub(super) async fn payout_csv(
    State(state): State<AppState>,
    reader: Reader,
    _: Asked<Nothing>,
    Named(file): Named,
) -> Result<Response, Problem> {
    let number = file.strip_suffix(".csv").ok_or_else(|| Problem::not_found("http.unknown_address"))?;
    let payout = state.registry.find_payout(number).await?;
    let mut rewards = state.registry.list_payout_lines(payout.id).await?;
    rewards.reverse();
    let words = reader.catalogue();
    let currency = &state.registry.reward_rules().currency;
    let row = |reward: &Reward| {
        let result = match reward.state {
            RewardState::Exported => String::new(),
            state => words.word("reward_state", state),
        };
        let said = reward.payment.clone().unwrap_or_else(|| reward.note.clone());
        let amount = money(reward.amount_fen);
        let (payee, name) = (reward.payee.clone(), reward.payee_name.clone());
        vec![reward.tracking.clone(), payee, name, amount, currency.clone(), result, said]
    };
    let rows: Vec<Vec<String>> = rewards.iter().map(row).collect();
    let headings = COLUMNS.map(|key| words.text(key).to_owned()).to_vec();
    let pages = stream::iter([Ok::<_, Problem>(rows)]);
    Ok(csv_body::csv(&format!("payout-{}", payout.number), headings, pages))
}

/// Reads the payer's file as it was sent back: which column is which is said by its headings, in any language.
pub(super) fn read_results(bytes: &[u8]) -> Result<Vec<PaymentResult>, Refusal> {
    let undecodable = || Refusal::new("reward.results_unreadable").with("reason", "not text");
    let text = decode_text(bytes).ok_or_else(undecodable)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_bytes());
    let mut columns: Option<[usize; 3]> = None;
    let mut results = Vec::new();
    for record in reader.records() {
        let record =
            record.map_err(|error| Refusal::new("reward.results_unreadable").with("reason", error))?;
        let line = record.position().map_or(0, |position| position.line() as usize);
        let Some([tracking, result, said]) = columns else {
            columns = Some(find_columns(&record)?);
            continue;
        };
        let cell = |at: usize| record.get(at).unwrap_or_default().trim().trim_start_matches('\'');
        if cell(result).is_empty() {
            continue;
        }
        let paid = read_result(cell(result)).ok_or_else(|| {
            let refusal = Refusal::new("reward.result").with("line", line);
            refusal.with("read", shortened(cell(result)))
        })?;
        results.push(PaymentResult {
            line,
            tracking: cell(tracking).to_owned(),
            paid,
            said: cell(said).to_owned(),
        });
    }
    if columns.is_none() {
        return Err(Refusal::new("reward.columns"));
    }
    Ok(results)
}

fn find_columns(head: &csv::StringRecord) -> Result<[usize; 3], Refusal> {
    let at = |key: &'static str| {
        let named = |cell: &str| {
            Language::ALL.iter().any(|language| Catalogue::of(*language).text(key).eq_ignore_ascii_case(cell))
        };
        head.iter().position(|cell| named(cell.trim().trim_start_matches('\u{feff}')))
    };
    let found = [COLUMNS[0], COLUMNS[5], COLUMNS[6]].map(at);
    match found {
        [Some(tracking), Some(result), Some(said)] => Ok([tracking, result, said]),
        _ => Err(Refusal::new("reward.columns")),
    }
}

/// `None` for a word that is neither.
fn read_result(word: &str) -> Option<bool> {
    let is = |state: &str| {
        word.eq_ignore_ascii_case(state)
            || Language::ALL.iter().any(|language| {
                Catalogue::of(*language).word("reward_state", state).eq_ignore_ascii_case(word)
            })
    };
    match (is("paid"), is("failed")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

pub(super) fn results_shape(taken: &ResultsTaken, words: &Catalogue) -> Value {
    let problem = |(line, refusal): &(usize, Refusal)| json!({"line": line, "code": refusal.code, "detail": words.refusal(refusal)});
    json!({
        "paid": taken.paid,
        "failed": taken.failed,
        "unchanged": taken.unchanged,
        "problems": taken.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

pub(super) async fn send_results(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(number): Named,
    request: Request,
) -> Result<Response, Problem> {
    if !has_media_type(request.headers(), "text/csv") {
        let refusal = Refusal::new("http.media_type").with("fits", "text/csv");
        return Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal });
    }
    let bytes = Bytes::from_request(request, &state)
        .await
        .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "http.too_large"))?;
    let results = read_results(&bytes)?;
    let taken = state.registry.take_results(&number, results, &caller.actor()).await?;
    Ok(Json(results_shape(&taken, reader.catalogue())).into_response())
}
