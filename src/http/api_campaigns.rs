//! Campaigns, tasks and dates for programs.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Said, idempotency_key};
use super::auth::Caller;
use super::campaign_form::CampaignBody;
use super::conflict::{etag, if_match};
use super::cover_query::limit;
use super::forms::shortened;
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::campaign::{CampaignState, CampaignStep, Progress};
use crate::domain::checklist::{Checklist, QuestionSummary};
use crate::domain::ids::{CampaignId, Millis, TaskId};
use crate::outlet::start_of_day;
use crate::registry::{
    Campaign, CampaignOrder, DueDateOrder, DueLine, RegistryError, TaskCount, TaskFilter, TaskLine,
};

pub(super) async fn create_campaign(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<CampaignBody>,
) -> Result<Response, Problem> {
    let new = body.order(&state, idempotency_key(&headers)?, caller.actor()).await?;
    let campaign = state.registry.create_campaign(new).await?;
    let location = (header::LOCATION, format!("/api/v1/campaigns/{}", campaign.id));
    let shown = Json(shape(&campaign, &[]));
    Ok((StatusCode::CREATED, [location], etag(campaign.version), shown).into_response())
}

pub(super) fn read_id(text: &str) -> Result<CampaignId, Problem> {
    let unknown = |_| {
        let refusal = Refusal::new("campaign.unknown").with("read", shortened(text));
        Problem { status: StatusCode::NOT_FOUND, refusal }
    };
    text.parse().map_err(unknown)
}

pub(super) async fn find(state: &AppState, text: &str) -> Result<Campaign, Problem> {
    let id = read_id(text)?;
    let unknown = || RegistryError::NotFound(Refusal::new("campaign.unknown").with("read", id));
    Ok(state.registry.find_campaign(id).await?.ok_or_else(unknown)?)
}

/// Does a step and lets the tasks come behind the answer.
pub(super) async fn take_step(state: &AppState, order: CampaignOrder) -> Result<Campaign, Problem> {
    let campaign = state.registry.step_campaign(order).await?;
    if campaign.state != CampaignState::Draft {
        let (registry, id) = (state.registry.clone(), campaign.id);
        tokio::spawn(async move {
            if let Err(error) = registry.fill_campaign(id).await {
                tracing::warn!(campaign.id = %id, %error, "a campaign waits for its tasks");
            }
        });
    }
    Ok(campaign)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn list_campaigns(
    State(state): State<AppState>,
    Asked(query): Asked<PageQuery>,
) -> Result<Response, Problem> {
    let most = limit(query.limit.as_deref(), 50, 200).map_err(Problem::bad_request)?;
    let before = query.cursor.as_deref().map(str::parse::<CampaignId>).transpose();
    let before = before.map_err(|refusal| Problem::bad_request(refusal.at("cursor")))?;
    let campaigns = state.registry.list_campaigns(before, most).await?;
    let mut shown = Vec::with_capacity(campaigns.len());
    for campaign in &campaigns {
        let counts = state.registry.count_tasks(campaign.id, campaign.round).await?;
        shown.push(shape(campaign, &counts));
    }
    let mut answer = json!({"campaigns": shown});
    if let Some(last) = campaigns.last().filter(|_| campaigns.len() as i64 == most) {
        answer["next"] = json!(last.id);
    }
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoundQuery {
    round: Option<String>,
}

/// The round that is meant: the newest where none is named.
pub(super) fn round_of(campaign: &Campaign, text: Option<&str>) -> Result<i64, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(campaign.round) };
    let read = text.parse::<i64>().ok().filter(|round| (1..=campaign.round).contains(round));
    read.ok_or_else(|| {
        Refusal::new("campaign.round").at("round").with("read", shortened(text)).with("most", campaign.round)
    })
}

pub(super) async fn find_campaign(
    State(state): State<AppState>,
    Named(id): Named,
    Asked(query): Asked<RoundQuery>,
) -> Result<Response, Problem> {
    let campaign = find(&state, &id).await?;
    let round = round_of(&campaign, query.round.as_deref()).map_err(Problem::bad_request)?;
    let counts = state.registry.count_tasks(campaign.id, round).await?;
    let answers = state.registry.count_answers(campaign.id, round).await?;
    let list = Checklist::read(&campaign.checklist)?;
    let mut shown = shape(&campaign, &counts);
    shown["streets"] = streets(&counts);
    shown["questions"] = list.summarize(&answers).iter().map(question).collect();
    Ok((etag(campaign.version), Json(shown)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepBody {
    step: CampaignStep,
}

pub(super) async fn step_campaign(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
    headers: HeaderMap,
    Said(body): Said<StepBody>,
) -> Result<Response, Problem> {
    let order = CampaignOrder {
        key: idempotency_key(&headers)?,
        id: read_id(&id)?,
        step: body.step,
        expected_version: if_match(&headers)?,
        actor: caller.actor(),
    };
    let campaign = take_step(&state, order).await.map_err(|problem| match problem.refusal.code {
        "campaign.moved_meanwhile" => Problem { status: StatusCode::PRECONDITION_FAILED, ..problem },
        _ => problem,
    })?;
    let counts = state.registry.count_tasks(campaign.id, campaign.round).await?;
    Ok((etag(campaign.version), Json(shape(&campaign, &counts))).into_response())
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TaskQuery {
    campaign: Option<String>,
    round: Option<String>,
    kind: Option<String>,
    state: Option<String>,
    result: Option<String>,
    crew: Option<String>,
    cover: Option<String>,
    district: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

impl TaskQuery {
    fn filter(&self) -> Result<TaskFilter, Refusal> {
        fn id<T: std::str::FromStr<Err = Refusal>>(
            text: &Option<String>,
            field: &'static str,
        ) -> Result<Option<T>, Refusal> {
            text.as_deref().map(str::parse).transpose().map_err(|refusal: Refusal| refusal.at(field))
        }
        Ok(TaskFilter {
            campaign: id(&self.campaign, "campaign")?,
            round: self.round.as_deref().map(|text| limit(Some(text), 1, i64::MAX)).transpose()?,
            kind: self.kind.as_deref().map(str::parse).transpose()?,
            state: self.state.as_deref().map(str::parse).transpose()?,
            result: self.result.as_deref().map(str::parse).transpose()?,
            crew: id(&self.crew, "crew")?,
            cover: id(&self.cover, "cover")?,
            district: self.district.clone(),
            after: id::<TaskId>(&self.cursor, "cursor")?,
            limit: limit(self.limit.as_deref(), 100, 1000)?,
        })
    }
}

pub(super) async fn list_tasks(
    State(state): State<AppState>,
    Asked(query): Asked<TaskQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter().map_err(Problem::bad_request)?;
    let most = filter.limit;
    let lines = state.registry.list_tasks(filter).await?;
    let mut answer = json!({"tasks": lines.iter().map(task).collect::<Vec<_>>()});
    if let Some(last) = lines.last().filter(|_| lines.len() as i64 == most) {
        answer["next"] = json!(last.task.id);
    }
    Ok(Json(answer).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeriodQuery {
    from: String,
    until: String,
}

pub(super) async fn list_recurrences(
    State(state): State<AppState>,
    Asked(query): Asked<PeriodQuery>,
) -> Result<Response, Problem> {
    let offset = state.config.utc_offset_minutes;
    let period = || {
        Ok((start_of_day("from", &query.from, offset, 0)?, start_of_day("until", &query.until, offset, 1)?))
    };
    let counted = state.registry.count_recurrences(period().map_err(Problem::bad_request)?).await?;
    let party = |one: &crate::registry::Recurrence| json!({"party": one.party, "looked": one.looked, "recurred": one.recurred});
    Ok(Json(json!({"parties": counted.iter().map(party).collect::<Vec<_>>()})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DueQuery {
    until: Option<String>,
    limit: Option<String>,
}

/// Up to when dates are listed: so many days, unless somebody says otherwise.
const AHEAD_DAYS: i64 = 366;

/// The last moment that is meant, on the city's clock.
pub(super) fn due_until(state: &AppState, text: Option<&str>) -> Result<Millis, Refusal> {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => start_of_day("until", text, state.config.utc_offset_minutes, 1),
        None => Ok(Millis(state.registry.now().0 + AHEAD_DAYS * 86_400_000)),
    }
}

pub(super) async fn list_due_dates(
    State(state): State<AppState>,
    Asked(query): Asked<DueQuery>,
) -> Result<Response, Problem> {
    let until = due_until(&state, query.until.as_deref()).map_err(Problem::bad_request)?;
    let most = limit(query.limit.as_deref(), 100, 1000).map_err(Problem::bad_request)?;
    let lines = state.registry.list_due_dates(until, most).await?;
    let shown: Vec<Value> = lines.iter().map(due_date).collect();
    Ok(Json(json!({"due_dates": shown})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DueBody {
    code: String,
    kind: String,
    /// A day; nothing takes the date away.
    due: Option<String>,
}

pub(super) async fn put_due_date(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Said(body): Said<DueBody>,
) -> Result<Response, Problem> {
    let offset = state.config.utc_offset_minutes;
    let order = DueDateOrder {
        key: idempotency_key(&headers)?,
        code: body.code,
        kind: body.kind.parse().map_err(|refusal: Refusal| refusal.at("kind"))?,
        due_at: body.due.as_deref().map(|day| start_of_day("due", day, offset, 0)).transpose()?,
        actor: caller.actor(),
    };
    state.registry.set_due_date(order).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn known(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(super) fn total(counts: &[TaskCount]) -> Progress {
    let mut sum = Progress::default();
    counts.iter().for_each(|count| sum.add(count.state, count.result, count.count));
    sum
}

fn shape(campaign: &Campaign, counts: &[TaskCount]) -> Value {
    known([
        ("id", json!(campaign.id)),
        ("name", json!(campaign.name)),
        ("kind", json!(campaign.kind)),
        ("state", json!(campaign.state)),
        ("scope", json!(campaign.scope)),
        ("checklist", json!(campaign.checklist)),
        ("crews", json!(campaign.crews)),
        ("repeat", json!(campaign.repeat.as_ref().map(ToString::to_string))),
        ("from", shapes::time(campaign.from_at)),
        ("until", shapes::time(campaign.until_at)),
        ("round", json!(campaign.round)),
        ("round_from", shapes::time(campaign.round_from)),
        ("round_until", shapes::time(campaign.round_until)),
        ("stage", json!(campaign.stage)),
        ("created_at", shapes::time(campaign.created_at)),
        ("ended_at", campaign.ended_at.map_or(Value::Null, shapes::time)),
        ("version", json!(campaign.version)),
        ("progress", json!(total(counts))),
    ])
}

/// By district, street and crew, in the order of the counts.
fn streets(counts: &[TaskCount]) -> Value {
    let key = |count: &TaskCount| (count.district.clone(), count.road.clone(), count.crew);
    let shown: Vec<Value> = counts
        .chunk_by(|one, other| key(one) == key(other))
        .map(|of| {
            let first = &of[0];
            known([
                ("district", json!(first.district)),
                ("road", json!(first.road)),
                ("crew", json!(first.crew)),
                ("progress", json!(total(of))),
            ])
        })
        .collect();
    json!(shown)
}

fn question(summary: &QuestionSummary) -> Value {
    let counts: Vec<Value> =
        summary.counts.iter().map(|(answer, count)| json!({"answer": answer, "count": count})).collect();
    known([
        ("id", json!(summary.question.id)),
        ("text", json!(summary.question.text)),
        ("kind", json!(summary.question.kind)),
        ("answered", json!(summary.answered)),
        ("counts", json!(counts)),
        ("least", json!(summary.numbers.map(|[least, ..]| least))),
        ("mean", json!(summary.numbers.map(|[_, mean, _]| mean))),
        ("most", json!(summary.numbers.map(|[.., most]| most))),
    ])
}

fn task(line: &TaskLine) -> Value {
    let task = &line.task;
    known([
        ("id", json!(task.id)),
        ("kind", json!(task.kind)),
        ("campaign", json!(task.campaign)),
        ("round", json!(task.round)),
        ("case", json!(line.case_number)),
        ("party", json!(task.party)),
        ("cover", json!(task.cover)),
        ("code", json!(line.code)),
        ("class", json!(line.class)),
        ("district", json!(task.district)),
        ("road", json!(task.road)),
        ("lon", json!(line.lon)),
        ("lat", json!(line.lat)),
        ("crew", json!(task.crew)),
        ("from", shapes::time(task.from_at)),
        ("due", shapes::time(task.due_at)),
        ("state", json!(task.state)),
        ("result", json!(task.result)),
        ("answers", serde_json::from_str(&task.answers).unwrap_or_default()),
        ("note", json!(task.note)),
        ("done_by", json!(task.done_by)),
        ("done_at", task.done_at.map_or(Value::Null, shapes::time)),
        ("distance_m", json!(task.distance_m)),
        ("raised_case", json!(line.raised_number)),
    ])
}

fn due_date(line: &DueLine) -> Value {
    known([
        ("cover", json!(line.due.cover)),
        ("code", json!(line.code)),
        ("kind", json!(line.due.kind)),
        ("due", shapes::time(line.due.due_at)),
        ("district", json!(line.district)),
        ("road", json!(line.road)),
        ("has_task", json!(line.has_task)),
    ])
}
