//! 档案质量 for programs: the same lists as on the pages.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ask::{Asked, Named, Nothing};
use super::claim_pages::{ClaimQuery, known};
use super::cover_query::limit;
use super::quality_files::{DistrictQuery, FileQuery, sums};
use super::{AppState, Problem, duplicate_pages, json as shapes};
use crate::domain::Refusal;
use crate::domain::ids::CoverId;
use crate::domain::quality::Finding;
use crate::registry::{ClaimLine, ClaimNoticeFile};

pub(super) async fn find_quality(
    State(state): State<AppState>,
    Asked(query): Asked<DistrictQuery>,
) -> Result<Response, Problem> {
    let sums = sums(&state, query.district()).await?;
    let districts: Vec<Value> = sums
        .iter()
        .map(|(code, (sum, pairs))| {
            let findings: Map<String, Value> = Finding::ALL
                .iter()
                .map(|finding| (finding.to_string(), json!(sum.count(*finding))))
                .collect();
            json!({
                "district": code,
                "covers": sum.covers,
                "mean_score": sum.mean_tenths().unwrap_or_default() as f64 / 10.0,
                "spread": sum.spread,
                "good": sum.good,
                "findings": findings,
                "duplicates": pairs,
            })
        })
        .collect();
    let rules = &state.rules().completeness;
    Ok(Json(json!({"districts": districts, "low": rules.low, "fair": rules.fair})).into_response())
}

pub(super) async fn list_quality_files(
    State(state): State<AppState>,
    Asked(query): Asked<FileQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter().map_err(Problem::bad_request)?;
    let size = query.size(100, 1000).map_err(Problem::bad_request)?;
    let year = state.this_year();
    let ids: Vec<CoverId> = state.ask_board(|board| board.list(&filter).take(size).collect()).await?;
    let judged = state.judge(&ids).await?;
    let files: Vec<Value> = judged
        .iter()
        .map(|one| {
            let mut file = json!({
                "cover": shapes::cover(&one.file),
                "score": state.rules().score(one.facts.there),
                "missing": state.rules().missing(one.facts.there),
                "findings": state.rules().findings(&one.facts, year).iter().collect::<Vec<_>>(),
            });
            if let Some(installed) = one.facts.installed {
                file["installed"] = json!(installed);
            }
            file
        })
        .collect();
    let mut answer = json!({"files": files});
    if let Some(last) = ids.last().filter(|_| ids.len() == size) {
        answer["next"] = json!(last);
    }
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairQuery {
    district: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list_duplicates(
    State(state): State<AppState>,
    Asked(query): Asked<PairQuery>,
) -> Result<Response, Problem> {
    let most = limit(query.limit.as_deref(), 100, 500).map_err(Problem::bad_request)?;
    let after = query.cursor.as_deref().map(str::parse::<CoverId>).transpose();
    let after = after.map_err(|refusal: Refusal| Problem::bad_request(refusal.at("cursor")))?;
    let most = usize::try_from(most).unwrap_or_default();
    let (pairs, _, next) = duplicate_pages::pairs(&state, query.district.as_deref(), after, most).await?;
    let shown: Vec<Value> = pairs
        .iter()
        .map(|pair| {
            json!({
                "older": shapes::cover(&pair.older),
                "newer": shapes::cover(&pair.newer),
                "distance_m": pair.distance_m,
            })
        })
        .collect();
    let mut answer = json!({"pairs": shown});
    if let Some(next) = next {
        answer["next"] = json!(next);
    }
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimNoticeQuery {
    limit: Option<String>,
    before: Option<String>,
}

pub(super) async fn list_claim_notices(
    State(state): State<AppState>,
    Asked(query): Asked<ClaimNoticeQuery>,
) -> Result<Response, Problem> {
    let most = limit(query.limit.as_deref(), 50, 200).map_err(Problem::bad_request)?;
    let notices = state.registry.list_claim_notices(query.before.as_deref(), most).await?;
    Ok(Json(json!({"notices": notices.iter().map(notice).collect::<Vec<_>>()})).into_response())
}

fn notice(file: &ClaimNoticeFile) -> Value {
    let record = &file.notice;
    let counts: Map<String, Value> =
        file.counts.iter().map(|(state, count)| (state.to_string(), json!(count))).collect();
    let mut shown = json!({
        "number": record.number,
        "reason": record.reason,
        "opened_at": shapes::time(record.opened_at),
        "due_at": shapes::time(record.due_at),
        "is_filling": record.cursor.is_some(),
        "counts": counts,
        "contested": file.contested,
    });
    if let Some(district) = &record.district {
        shown["district"] = json!(district);
    }
    if let Some(class) = record.class {
        shown["class"] = json!(class);
    }
    shown
}

pub(super) async fn find_claim_notice(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(number): Named,
) -> Result<Response, Problem> {
    Ok(Json(notice(&known(&state, &number).await?)).into_response())
}

/// Covers of one answer.
const CLAIMS: i64 = 200;

pub(super) async fn list_claims(
    State(state): State<AppState>,
    Named(number): Named,
    Asked(query): Asked<ClaimQuery>,
) -> Result<Response, Problem> {
    let notice = known(&state, &number).await?.notice.number;
    let filter = query.filter(CLAIMS).map_err(Problem::bad_request)?;
    let lines = state.registry.list_claims(&notice, filter).await?;
    let mut answer = json!({"claims": lines.iter().map(claim).collect::<Vec<_>>()});
    if let Some(last) = lines.last().filter(|_| lines.len() as i64 == CLAIMS) {
        answer["next"] = json!(last.file.cover);
    }
    Ok(Json(answer).into_response())
}

fn claim(line: &ClaimLine) -> Value {
    let answers: Vec<Value> = line
        .answers
        .iter()
        .map(|said| {
            json!({"party": said.party, "answer": said.answer, "reason": said.reason, "at": shapes::time(said.at)})
        })
        .collect();
    let mut shown = json!({
        "cover": shapes::cover(&line.file),
        "state": line.claim.state,
        "contested": line.claim.is_contested(),
        "answers": answers,
        "version": line.version,
    });
    if let Some(outcome) = line.claim.outcome {
        shown["outcome"] = json!(outcome);
    }
    shown
}
