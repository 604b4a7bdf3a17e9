//! 受理: the form for whoever is told of a hazard on the telephone or finds one: a cover by its code, its plate, its
//! road or from the map, with what is open close by before anything is filed.

use axum::Json;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use super::ask::{Asked, Nothing, Reader, Said, has_media_type, idempotency_key};
use super::auth::{Caller, percent_encode};
use super::desk::page;
use super::forms::{Form, store_photos};
use super::problem::page_with_problem;
use super::public::REPORT_BYTES;
use super::views::{self, IntakeDraft, IntakeView};
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::case::{CaseSource, PhonePosition};
use crate::domain::cover::CoverFile;
use crate::domain::hazard::Hazard;
use crate::domain::ids::IdempotencyKey;
use crate::domain::token::Token;
use crate::registry::{CoverFilter, NewFinding, Reported, SimilarCase, Spot};

/// Covers that a search offers.
const FOUND: i64 = 20;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct IntakeQuery {
    /// Code, plate or road.
    text: String,
    /// The code of the cover that was chosen.
    cover: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<IntakeQuery>,
) -> Result<Response, Problem> {
    let draft = IntakeDraft { cover: query.cover, text: query.text, ..IntakeDraft::default() };
    Ok(page(intake_page(&state, &reader, &caller, &draft, None).await?))
}

async fn intake_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    draft: &IntakeDraft,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let chosen = match draft.cover.is_empty() {
        true => None,
        false => state.registry.find_cover_by_code(&draft.cover).await?,
    };
    let found = match (&chosen, draft.text.trim()) {
        (Some(_), _) | (None, "") => Vec::new(),
        (None, text) => find_covers(state, text).await?,
    };
    let similar = match &chosen {
        Some(file) => similar_to(state, file).await?,
        None => Vec::new(),
    };
    let around = reader.page(state, caller.session.as_ref());
    let view = IntakeView { draft, chosen: chosen.as_ref(), found: &found, similar: &similar, wrong };
    Ok(views::intake(&around, &view, caller.user.role))
}

async fn similar_to(state: &AppState, file: &CoverFile) -> Result<Vec<SimilarCase>, Problem> {
    let at = (file.survey.position.lon, file.survey.position.lat);
    Ok(state.registry.list_similar_cases(at, state.registry.now()).await?)
}

/// Covers by a plate's token, a code, or part of a road.
async fn find_covers(state: &AppState, text: &str) -> Result<Vec<CoverFile>, Problem> {
    if let Ok(token) = text.parse::<Token>()
        && let Some(scanned) = state.registry.find_plate(token).await?
    {
        return Ok(scanned.cover.into_iter().collect());
    }
    if let Some(file) = state.registry.find_cover_by_code(text).await? {
        return Ok(vec![file]);
    }
    let text = text.chars().take(100).collect();
    let filter = CoverFilter { text: Some(text), limit: FOUND, ..CoverFilter::default() };
    Ok(state.registry.list_covers(filter).await?)
}

const FIELDS: &[&str] = &[
    "csrf",
    "key",
    "cover",
    "case",
    "hazard",
    "source",
    "external_number",
    "description",
    "contact",
    "lon",
    "lat",
    "accuracy_m",
];

pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    mut request: Request,
) -> Result<Response, Problem> {
    DefaultBodyLimit::max(REPORT_BYTES).apply(&mut request);
    let (mut form, trouble) = Form::with_trouble(request, &state).await?;
    form.only(FIELDS)?;
    caller.check_csrf(form.field("csrf"))?;
    let photos = std::mem::take(&mut form.photos);
    let filed = match trouble {
        None => file(&state, &caller, &form, photos).await,
        Some(trouble) => Err(trouble),
    };
    match filed {
        Ok(reported) => {
            let address = format!("/desk/cases/{}", percent_encode(&reported.case_number));
            Ok(Redirect::to(&address).into_response())
        }
        Err(problem) if problem.status.is_client_error() => {
            let said = |name| form.field(name).unwrap_or_default().to_owned();
            let draft = IntakeDraft {
                text: String::new(),
                cover: said("cover"),
                hazard: said("hazard"),
                source: said("source"),
                external_number: said("external_number"),
                description: said("description"),
                contact: said("contact"),
            };
            let html = intake_page(&state, &reader, &caller, &draft, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn file(
    state: &AppState,
    caller: &Caller,
    form: &Form,
    photos: Vec<axum::body::Bytes>,
) -> Result<Reported, Problem> {
    let key = form.key()?;
    let spot = match form.field("case") {
        Some(number) => Spot::Case(number.to_owned()),
        None => Spot::Cover(form.needed("cover")?.to_owned()),
    };
    let new = finding(state, caller, key, spot, form, photos).await?;
    send_finding(state, new).await
}

async fn finding(
    state: &AppState,
    caller: &Caller,
    key: IdempotencyKey,
    spot: Spot,
    form: &Form,
    photos: Vec<axum::body::Bytes>,
) -> Result<NewFinding, Problem> {
    Ok(NewFinding {
        key,
        spot,
        hazard: form.needed("hazard")?.parse::<Hazard>()?,
        source: form.field("source").map(str::parse::<CaseSource>).transpose()?,
        description: form.field("description").unwrap_or_default().to_owned(),
        contact: form.field("contact").map(str::to_owned),
        external_number: form.field("external_number").map(str::to_owned),
        phone_position: form.phone_position()?,
        photos: store_photos(state, photos).await?,
        actor: caller.actor(),
        language: "zh-CN",
        origin: None,
    })
}

async fn send_finding(state: &AppState, new: NewFinding) -> Result<Reported, Problem> {
    let reported = state.registry.file_finding(new).await?;
    state.covers_changed(reported.cover.as_slice());
    Ok(reported)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindingBody {
    cover: Option<String>,
    place: Option<PhonePosition>,
    case: Option<String>,
    hazard: String,
    source: Option<String>,
    #[serde(default)]
    description: String,
    contact: Option<String>,
    external_number: Option<String>,
    phone_position: Option<PhonePosition>,
}

/// Exactly one of the three ways to say where.
fn spot_of(
    cover: Option<String>,
    place: Option<PhonePosition>,
    case: Option<String>,
) -> Result<Spot, Refusal> {
    match (cover, place, case) {
        (Some(code), None, None) => Ok(Spot::Cover(code)),
        (None, Some(place), None) => Ok(Spot::Place(place)),
        (None, None, Some(number)) => Ok(Spot::Case(number)),
        _ => Err(Refusal::new("finding.spot").at("cover")),
    }
}

pub(super) async fn create_case(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    mut request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let new = if has_media_type(request.headers(), "multipart/form-data") {
        DefaultBodyLimit::max(REPORT_BYTES).apply(&mut request);
        let mut form = Form::from_request(request, &state).await?;
        form.only(&[
            "cover",
            "case",
            "place_lon",
            "place_lat",
            "place_accuracy_m",
            "hazard",
            "source",
            "external_number",
            "description",
            "contact",
            "lon",
            "lat",
            "accuracy_m",
        ])?;
        let photos = std::mem::take(&mut form.photos);
        let owned = |name: &str| form.field(name).map(str::to_owned);
        let place = form.position_of(["place_lon", "place_lat", "place_accuracy_m"])?;
        let spot = spot_of(owned("cover"), place, owned("case"))?;
        finding(&state, &caller, key, spot, &form, photos).await?
    } else {
        let Said(body) = Said::<FindingBody>::from_request(request, &state).await?;
        NewFinding {
            key,
            spot: spot_of(body.cover, body.place, body.case)?,
            hazard: body.hazard.parse()?,
            source: body.source.as_deref().map(str::parse).transpose()?,
            description: body.description,
            contact: body.contact,
            external_number: body.external_number,
            phone_position: body.phone_position,
            photos: Vec::new(),
            actor: caller.actor(),
            language: "zh-CN",
            origin: None,
        }
    };
    let reported = send_finding(&state, new).await?;
    let answer = json!({
        "tracking": reported.tracking,
        "case_number": reported.case_number,
        "joined": reported.joined,
        "emergency": reported.emergency,
        "link": format!("/r/{}", state.registry.tracking_link(&reported)),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SimilarQuery {
    cover: String,
}

/// Open cases close to a cover, to be seen before one more is filed.
pub(super) async fn list_similar(
    State(state): State<AppState>,
    Asked(query): Asked<SimilarQuery>,
) -> Result<Response, Problem> {
    let file = state.registry.find_cover_by_code(&query.cover).await?;
    let file = file.ok_or_else(|| super::desk::unknown_cover(&query.cover))?;
    let similar = similar_to(&state, &file).await?;
    Ok(Json(json!({"cases": similar.iter().map(shapes::similar_case).collect::<Vec<_>>()})).into_response())
}
