//! 专项巡护: campaigns and patrol plans at the desk, how far they have come, and dates that come round.

use axum::extract::{FromRequest, Request, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::api_campaigns::{due_until, find, read_id, round_of, take_step};
use super::ask::{Asked, Named, Nothing, Reader, parse_json};
use super::auth::Caller;
use super::campaign_form::{AreaBody, CampaignBody, Outline};
use super::desk::page;
use super::edit_page::Lists;
use super::forms::{Form, shortened};
use super::problem::page_with_problem;
use super::views::{self, CampaignFormView, CampaignListView, CampaignView, DueDatesView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::campaign::CampaignStage;
use crate::domain::checklist::Checklist;
use crate::domain::ids::{CampaignId, IdempotencyKey, Millis};
use crate::domain::role::Role;
use crate::domain::task::DAY_MS;
use crate::outlet::start_of_day;
use crate::registry::{Campaign, CampaignOrder, DueDateOrder, TaskFilter};

/// Who sends crews out.
pub(super) const TASK_DESK: &[Role] = &[Role::Dispatcher, Role::Supervisor, Role::Engineer, Role::Admin];

/// Campaigns and dates on one page.
const CAMPAIGNS: i64 = 30;
const DATES: i64 = 200;
/// Days for which looks back are counted on the list.
const LOOKED_DAYS: i64 = 365;
/// The checklist that a new campaign begins with.
const CHECKLIST: &str = include_str!("../../labels/checklist.toml");
/// Bytes of the outline and the checklist in a form.
const LONG_TEXT: usize = 400_000;

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
    let before = Some(query.before.trim()).filter(|before| !before.is_empty());
    let before = before.map(str::parse::<CampaignId>).transpose();
    let before = before.map_err(|refusal| Problem::bad_request(refusal.at("before")))?;
    let campaigns = state.registry.list_campaigns(before, CAMPAIGNS).await?;
    let mut rows = Vec::with_capacity(campaigns.len());
    for campaign in &campaigns {
        rows.push((campaign, state.registry.count_tasks(campaign.id, campaign.round).await?));
    }
    let now = state.registry.now();
    let looked = state.registry.count_recurrences((Millis(now.0 - LOOKED_DAYS * DAY_MS), now)).await?;
    let lists = Lists::read(&state).await?;
    let view = CampaignListView {
        names: lists.names(),
        rows: &rows,
        looked: &looked,
        next: campaigns
            .last()
            .filter(|_| campaigns.len() as i64 == CAMPAIGNS)
            .map(|last| last.id.to_string()),
    };
    Ok(page(views::campaigns(&reader.page(&state, caller.session.as_ref()), &view)))
}

pub(super) async fn form(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let today = views::day(&state.config, state.registry.now());
    let draft =
        Form::of([("kind", "campaign"), ("from", &today), ("until", &today), ("checklist", CHECKLIST)]);
    Ok(page(form_page(&state, &reader, &caller, &draft, None).await?))
}

async fn form_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    draft: &Form,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let lists = Lists::read(state).await?;
    let crews = state.registry.list_crews().await?;
    let value = |name: &str| draft.field(name).unwrap_or_default().to_owned();
    let ticked = |prefix: &str, name: &str| draft.field(&format!("{prefix}:{name}")).is_some();
    let view = CampaignFormView {
        names: lists.names(),
        crews: &crews,
        value: &value,
        ticked: &ticked,
        key: IdempotencyKey::fresh(),
        wrong,
    };
    Ok(views::campaign_form(&reader.page(state, caller.session.as_ref()), &view))
}

const FIELDS: [&str; 18] = [
    "csrf",
    "key",
    "name",
    "kind",
    "district",
    "area_kind",
    "area_code",
    "outline",
    "road",
    "class",
    "state",
    "placement",
    "load_class",
    "owner",
    "checklist",
    "every",
    "from",
    "until",
];

pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::with_texts(request, &state, &["outline", "checklist"], LONG_TEXT).await?;
    let strange = form
        .beginning("")
        .find(|(name, _)| !FIELDS.contains(name) && !name.starts_with("crew:") && !name.starts_with("day:"));
    if let Some((name, _)) = strange {
        let refusal = Refusal::new("form.unknown_field").with("field", shortened(name));
        return Err(Problem::bad_request(refusal));
    }
    caller.check_csrf(form.field("csrf"))?;
    match create(&state, &caller, &form).await {
        Ok(campaign) => Ok(to_page(campaign.id)),
        Err(problem) if problem.status.is_client_error() => {
            let html = form_page(&state, &reader, &caller, &form, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn to_page(id: CampaignId) -> Response {
    Redirect::to(&format!("/desk/campaigns/{id}")).into_response()
}

async fn create(state: &AppState, caller: &Caller, form: &Form) -> Result<Campaign, Problem> {
    let text = |name: &str| form.field(name).map(str::to_owned);
    let days: Vec<&str> = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        .into_iter()
        .filter(|day| form.field(&format!("day:{day}")).is_some())
        .collect();
    let repeat = match form.field("every") {
        Some(every) => Some(format!("every {every} days")),
        None => Some(days.join(" ")).filter(|days| !days.is_empty()),
    };
    let outline = form.field("outline").map(|text| parse_json::<OutlineText>(text.as_bytes())).transpose();
    let outline = outline.map_err(|problem| Problem { refusal: problem.refusal.at("outline"), ..problem })?;
    let area = form.field("area_code").map(|code| AreaBody {
        kind: text("area_kind").unwrap_or_else(|| AreaKind::Management.to_string()),
        code: code.to_owned(),
    });
    let body = CampaignBody {
        name: form.needed("name")?.to_owned(),
        kind: form.needed("kind")?.to_owned(),
        district: text("district"),
        area,
        outline: outline.map(OutlineText::outline),
        road: text("road"),
        class: text("class"),
        state: text("state"),
        placement: text("placement"),
        load_class: text("load_class"),
        owner: text("owner"),
        checklist: text("checklist").unwrap_or_default().replace("\r\n", "\n"),
        crews: form.beginning("crew:").map(|(id, _)| id.to_owned()).collect(),
        repeat,
        from: form.needed("from")?.to_owned(),
        until: form.needed("until")?.to_owned(),
    };
    let key = form.key()?;
    Ok(state.registry.create_campaign(body.order(state, key, caller.actor()).await?).await?)
}

/// A geometry of GeoJSON, or the feature that has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum OutlineText {
    Geometry(Outline),
    Feature { geometry: Outline },
}

impl OutlineText {
    fn outline(self) -> Outline {
        match self {
            OutlineText::Geometry(outline) | OutlineText::Feature { geometry: outline } => outline,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RoundQuery {
    pub round: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    Asked(query): Asked<RoundQuery>,
) -> Result<Response, Problem> {
    let campaign = find(&state, &id).await?;
    let is_filling = matches!(campaign.stage, CampaignStage::Dividing | CampaignStage::Filling);
    let round = round_of(&campaign, Some(&query.round)).map_err(Problem::bad_request)?;
    let mut response = page(campaign_page(&state, &reader, &caller, (&campaign, round), None).await?);
    if is_filling {
        response.headers_mut().insert("refresh", HeaderValue::from_static("2"));
    }
    Ok(response)
}

async fn campaign_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    (campaign, round): (&Campaign, i64),
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let registry = &state.registry;
    let counts = registry.count_tasks(campaign.id, round).await?;
    let answers = registry.count_answers(campaign.id, round).await?;
    let points = registry.list_task_points(campaign.id, round).await?;
    let troubled = registry.list_tasks(troubled(campaign, round)).await?;
    let lists = Lists::read(state).await?;
    let view = CampaignView {
        names: lists.names(),
        campaign,
        round,
        counts: &counts,
        questions: &Checklist::read(&campaign.checklist)?.summarize(&answers),
        points: &points,
        troubled: &troubled,
        key: IdempotencyKey::fresh(),
        wrong,
    };
    Ok(views::campaign(&reader.page(state, caller.session.as_ref()), &view))
}

/// Tasks at which something was wrong, as many as a page and a report name.
pub(super) fn troubled(campaign: &Campaign, round: i64) -> TaskFilter {
    TaskFilter {
        campaign: Some(campaign.id),
        round: Some(round),
        result: Some(crate::domain::task::TaskResult::Hazard),
        limit: 200,
        ..TaskFilter::default()
    }
}

pub(super) async fn step(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "key", "version", "step"])?;
    caller.check_csrf(form.field("csrf"))?;
    let id = read_id(&id)?;
    let order = || {
        Ok::<_, Refusal>(CampaignOrder {
            key: form.key()?,
            id,
            step: form.needed("step")?.parse()?,
            expected_version: super::edit_fields::version(&form, "version")?,
            actor: caller.actor(),
        })
    };
    let moved = match order() {
        Ok(order) => take_step(&state, order).await.map(drop),
        Err(refusal) => Err(refusal.into()),
    };
    match moved {
        Ok(()) => Ok(to_page(id)),
        Err(problem) if problem.status.is_client_error() && problem.status != 404 => {
            let campaign = find(&state, &id.to_string()).await?;
            let shown = (&campaign, campaign.round);
            let html = campaign_page(&state, &reader, &caller, shown, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UntilQuery {
    until: String,
}

pub(super) async fn due_dates(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<UntilQuery>,
) -> Result<Response, Problem> {
    let until = due_until(&state, Some(query.until.trim())).map_err(Problem::bad_request)?;
    Ok(page(due_page(&state, &reader, &caller, until, (&[], None)).await?))
}

async fn due_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    until: Millis,
    (wrong, given): (&[(usize, Refusal)], Option<&str>),
) -> Result<String, Problem> {
    let lines = state.registry.list_due_dates(until, DATES).await?;
    let lists = Lists::read(state).await?;
    let view = DueDatesView {
        names: lists.names(),
        lines: &lines,
        is_more: lines.len() as i64 == DATES,
        until,
        rules: &state.config.tasks,
        given: given.unwrap_or_default(),
        wrong,
    };
    Ok(views::due_dates(&reader.page(state, caller.session.as_ref()), &view))
}

/// Most lines that are set at once.
const LINES: usize = 500;

/// Sets the dates of as many covers as there are lines: code, what, day. What cannot be set is named with its line, the
/// rest is set.
pub(super) async fn set_due_dates(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::with_texts(request, &state, &["lines"], LONG_TEXT).await?;
    form.only(&["csrf", "lines"])?;
    caller.check_csrf(form.field("csrf"))?;
    let text = form.needed("lines")?;
    let mut wrong: Vec<(usize, Refusal)> = Vec::new();
    let mut left = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let set = match at < LINES {
            true => set_one(&state, &caller, line).await,
            false => Err(Refusal::new("due_date.lines").with("most", LINES).into()),
        };
        match set {
            Ok(()) => {}
            Err(problem) if problem.status.is_client_error() => {
                left.push(line);
                if wrong.len() < 20 {
                    wrong.push((at + 1, problem.refusal));
                }
            }
            Err(problem) => return Err(problem),
        }
    }
    if wrong.is_empty() {
        return Ok(Redirect::to("/desk/due-dates").into_response());
    }
    let until = due_until(&state, None)?;
    let html = due_page(&state, &reader, &caller, until, (&wrong, Some(&left.join("\n")))).await?;
    Ok(page_with_problem(axum::http::StatusCode::UNPROCESSABLE_ENTITY, html))
}

async fn set_one(state: &AppState, caller: &Caller, line: &str) -> Result<(), Problem> {
    let unreadable = || Refusal::new("due_date.line").at("lines").with("read", shortened(line));
    let cells: Vec<&str> = line.split([',', '，', '\t']).map(str::trim).collect();
    let [code, kind, day] = cells[..] else { return Err(unreadable().into()) };
    let offset = state.config.utc_offset_minutes;
    let kind = match kind {
        "防坠网" => crate::domain::task::TaskKind::FallNet,
        "检查" => crate::domain::task::TaskKind::Inspection,
        word => word.parse()?,
    };
    let due_at = match day {
        "" | "-" => None,
        day => Some(start_of_day("due", day, offset, 0)?),
    };
    let (key, actor) = (IdempotencyKey::fresh(), caller.actor());
    let order = DueDateOrder { key, code: code.to_owned(), kind, due_at, actor };
    Ok(state.registry.set_due_date(order).await?)
}
