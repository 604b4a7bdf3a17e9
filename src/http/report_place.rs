//! 随手拍: reporting without a plate. The phone says where it is, the covers close by are offered, and the form is the
//! one behind a plate.

use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::ask::{Asked, From, Nothing, Reader};
use super::desk::page;
use super::forms::{Form, store_photos};
use super::problem::page_with_problem;
use super::public::{check_telling, tell_reporter};
use super::sender::{Sender, know_again};
use super::views::{self, PlaceView, ReportDraft, ReportTarget};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::case::PhonePosition;
use crate::domain::cover::CoverFile;
use crate::domain::hazard::Hazard;
use crate::domain::role::Actor;
use crate::registry::{NewFinding, Reported, Spot};

/// How far a cover may lie to be offered, and how many are.
const OFFERED_M: f64 = 150.0;
const OFFERED: usize = 8;
/// Value of the choice "none of these".
const NONE: &str = "none";

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    headers: HeaderMap,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    Ok(know_again(&state, &headers, page(views::place_start(&reader.page(&state, None), None))))
}

/// The form with the covers close by, or with the one of a typed code.
pub(super) async fn locate(
    State(state): State<AppState>,
    From(network): From,
    reader: Reader,
    request: Request,
) -> Result<Response, Problem> {
    state.shared.tries.count(network, state.registry.now())?;
    let form = Form::from_request(request, &state).await?;
    form.only(&["lon", "lat", "accuracy_m", "code"])?;
    let found = look_around(&state, &form).await;
    let around = reader.page(&state, None);
    match found {
        Ok((place, covers)) => {
            let draft = ReportDraft::empty();
            let view = PlaceView { place, covers: &covers, chosen: "" };
            Ok(page(views::report_form(&around, &ReportTarget::Place(view), &draft, None)))
        }
        Err(problem) if problem.status.is_client_error() => {
            let html = views::place_start(&around, Some(&problem.refusal));
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

/// Covers with how far they lie, nearest first.
type Offered = Vec<(CoverFile, Option<f64>)>;

async fn look_around(state: &AppState, form: &Form) -> Result<(Option<PhonePosition>, Offered), Problem> {
    if let Some(code) = form.field("code") {
        let file = state.registry.find_cover_by_code(code).await?;
        let file = file.filter(|file| file.retired.is_none()).ok_or_else(|| {
            let read = super::forms::shortened(code);
            let refusal = Refusal::new("place.unknown_code").at("code").with("read", read);
            Problem { status: StatusCode::NOT_FOUND, refusal }
        })?;
        return Ok((None, vec![(file, None)]));
    }
    let place = form.phone_position()?.ok_or_else(|| Refusal::new("place.missing").at("code"))?;
    place.check()?;
    Ok((Some(place), covers_near(state, &place).await?))
}

async fn covers_near(state: &AppState, place: &PhonePosition) -> Result<Offered, Problem> {
    let near = state.snapshot.load().nearest(place.lon, place.lat, OFFERED, OFFERED_M);
    let ids: Vec<_> = near.iter().map(|near| near.row.cover).collect();
    let files = state.registry.list_covers_by_id(&ids).await?;
    let of = |near: &crate::spatial::Near| {
        let file = files.iter().find(|file| file.cover == near.row.cover && file.retired.is_none())?;
        Some((file.clone(), Some(near.distance_m)))
    };
    Ok(near.iter().filter_map(of).collect())
}

const FIELDS: &[&str] = &[
    "key",
    "hazard",
    "description",
    "contact",
    "tell",
    "lon",
    "lat",
    "accuracy_m",
    "cover",
    "place_lon",
    "place_lat",
    "place_accuracy_m",
];

pub(super) async fn send(
    State(state): State<AppState>,
    mut sender: Sender,
    reader: Reader,
    mut request: Request,
) -> Result<Response, Problem> {
    DefaultBodyLimit::max(sender.most_bytes()).apply(&mut request);
    let (mut form, trouble) = Form::with_trouble(request, &state).await?;
    sender.admit(form.field("hazard").and_then(|word| word.parse().ok()))?;
    form.only(FIELDS)?;
    let photos = std::mem::take(&mut form.photos);
    let place = form.position_of(["place_lon", "place_lat", "place_accuracy_m"])?;
    let filed = match trouble.or_else(|| check_telling(&state, &form).err().map(Problem::from)) {
        None => file((&state, &reader), sender, &form, place, photos).await,
        Some(trouble) => Err(trouble),
    };
    match filed {
        Ok(reported) => {
            state.covers_changed(reported.cover.as_slice());
            let link = state.registry.tracking_link(&reported);
            tell_reporter(&state, &reader, &form, &link).await;
            Ok(Redirect::to(&format!("/r/{link}")).into_response())
        }
        Err(problem) if problem.status.is_client_error() => {
            let chosen = form.field("cover").unwrap_or_default();
            let covers = match (&place, chosen) {
                (Some(place), _) => covers_near(&state, place).await?,
                (None, code) => {
                    let file = state.registry.find_cover_by_code(code).await?;
                    file.into_iter().map(|file| (file, None)).collect()
                }
            };
            let view = PlaceView { place, covers: &covers, chosen };
            let draft = ReportDraft::of_form(&form);
            let around = reader.page(&state, None);
            let target = ReportTarget::Place(view);
            let html = views::report_form(&around, &target, &draft, Some(&problem.refusal));
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

async fn file(
    (state, reader): (&AppState, &Reader),
    sender: Sender,
    form: &Form,
    place: Option<PhonePosition>,
    photos: Vec<axum::body::Bytes>,
) -> Result<Reported, Problem> {
    let spot = match (form.needed("cover")?, place) {
        (NONE, Some(place)) => Spot::Place(place),
        (NONE, None) => return Err(Refusal::new("place.missing").at("cover").into()),
        (code, _) => Spot::Cover(code.to_owned()),
    };
    let new = NewFinding {
        key: form.key()?,
        spot,
        hazard: form.needed("hazard")?.parse::<Hazard>()?,
        source: None,
        description: form.field("description").unwrap_or_default().to_owned(),
        contact: form.field("contact").map(str::to_owned),
        external_number: None,
        phone_position: form.phone_position()?.or(place),
        photos: store_photos(state, photos).await?,
        actor: Actor::Citizen,
        language: reader.language.tag(),
        origin: Some(sender.origin),
    };
    Ok(state.registry.file_finding(new).await?)
}
