//! Reports for programs: the same verbs as the pages.

use axum::Json;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::ask::{Asked, From, Named, Nothing, Object, Reader, Said, has_media_type, idempotency_key};
use super::forms::{Form, store_photos};
use super::public::{known_report, send_report};
use super::sender::Sender;
use super::sparse::{Picked, REPORT};
use super::{AppState, Problem, json as shapes};
use crate::domain::case::PhonePosition;
use crate::domain::hazard::Hazard;
use crate::registry::NewReport;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportBody {
    token: String,
    hazard: String,
    #[serde(default)]
    description: String,
    contact: Option<String>,
    phone_position: Option<Object<PhonePosition>>,
}

pub(super) async fn create_report(
    State(state): State<AppState>,
    mut sender: Sender,
    reader: Reader,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let new = match read_report(&state, &mut sender, &reader, request).await {
        Ok(new) => new,
        Err(problem) => {
            // What cannot be read is no report of danger.
            sender.admit(None)?;
            return Err(problem);
        }
    };
    let (link, reported) = send_report(&state, new).await?;
    let answer = json!({
        "tracking": reported.tracking,
        "case_number": reported.case_number,
        "joined": reported.joined,
        "emergency": reported.emergency,
        "link": format!("/r/{link}"),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn read_report(
    state: &AppState,
    sender: &mut Sender,
    reader: &Reader,
    mut request: Request,
) -> Result<NewReport, Problem> {
    let key = idempotency_key(request.headers())?;
    let (language, origin) = (reader.language.tag(), Some(sender.origin.clone()));
    if !has_media_type(request.headers(), "multipart/form-data") {
        let Said(body) = Said::<ReportBody>::from_request(request, state).await?;
        let hazard: Hazard = body.hazard.parse()?;
        sender.admit(Some(hazard))?;
        return Ok(NewReport {
            key,
            token: body.token.parse()?,
            hazard,
            description: body.description,
            contact: body.contact,
            phone_position: body.phone_position.map(|Object(position)| position),
            photos: Vec::new(),
            language,
            origin,
        });
    }
    DefaultBodyLimit::max(sender.most_bytes()).apply(&mut request);
    let mut form = Form::from_request(request, state).await?;
    form.only(&["token", "hazard", "description", "contact", "lon", "lat", "accuracy_m"])?;
    let hazard: Hazard = form.needed("hazard")?.parse()?;
    sender.admit(Some(hazard))?;
    let photos = std::mem::take(&mut form.photos);
    Ok(NewReport {
        key,
        token: form.needed("token")?.parse()?,
        hazard,
        description: form.field("description").unwrap_or_default().to_owned(),
        contact: form.field("contact").map(str::to_owned),
        phone_position: form.phone_position()?,
        photos: store_photos(state, photos).await?,
        language,
        origin,
    })
}

pub(super) async fn find_report(
    State(state): State<AppState>,
    From(network): From,
    Picked(Nothing {}, fields): Picked<Nothing>,
    Named(link): Named,
) -> Result<Response, Problem> {
    let sparse = fields.of(&REPORT)?;
    let tracked = known_report(&state, network, &link).await?;
    Ok(Json(sparse.pick(shapes::tracked(&tracked, &link))).into_response())
}
