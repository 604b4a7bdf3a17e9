//! Plates for programs: what a scan shows, fitting, batches.

use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::ask::{Asked, From, Named, Nothing, Object, Said};
use super::auth::Caller;
use super::{AppState, Problem, json as shapes};
use crate::domain::Refusal;
use crate::domain::ids::{BatchId, CoverId};
use crate::domain::token::Token;
use crate::press::{self, PlateOrder, Wanted};
use crate::registry::{Batch, CoverFilter, ScannedPlate};

/// Most plates of one request: drawn and proved within a few seconds, while the caller waits. The
/// command line makes ten times as many.
const MOST_PLATES: usize = 10_000;

fn public_plate(state: &AppState, scanned: &ScannedPlate) -> Response {
    let grouped = scanned.cover.as_ref().map(|file| state.registry.grouped_code(&file.code));
    Json(shapes::public_plate(scanned, grouped)).into_response()
}

pub(super) async fn find_plate(
    State(state): State<AppState>,
    From(network): From,
    _: Asked<Nothing>,
    Named(token): Named,
) -> Result<Response, Problem> {
    let token: Token = token.parse()?;
    let Some(scanned) = state.registry.find_plate(token).await? else {
        state.shared.counters.count_unknown_token();
        state.shared.tries.count(network, state.registry.now())?;
        return Err(Problem::not_found("plate.unknown"));
    };
    Ok(public_plate(&state, &scanned))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallBody {
    code: String,
}

pub(super) async fn install_plate(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(token): Named,
    Said(body): Said<InstallBody>,
) -> Result<Response, Problem> {
    let token: Token = token.parse()?;
    let scanned = super::desk::install(&state, token, &body.code, &caller.actor()).await?;
    Ok(public_plate(&state, &scanned))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchBody {
    /// Blank plates.
    count: Option<usize>,
    /// Codes of covers, in the order of the sheets.
    covers: Option<Vec<String>>,
    filter: Option<Object<FilterBody>>,
    face: Option<String>,
    sheet: Option<String>,
    level: Option<String>,
    #[serde(default)]
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterBody {
    district: Option<String>,
    class: Option<String>,
    road: Option<String>,
}

pub(super) async fn create_batch(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Said(body): Said<BatchBody>,
) -> Result<Response, Problem> {
    let order = PlateOrder {
        wanted: wanted(&state, &body).await?,
        most: MOST_PLATES,
        face: body.face.unwrap_or_else(|| "rect-90x60".to_owned()),
        sheet: body.sheet.unwrap_or_else(|| "a4".to_owned()),
        level: body.level.as_deref().map(str::parse).transpose()?,
        note: body.note,
        actor: caller.actor(),
    };
    let _slot = state.shared.heavy_slots.acquire().await;
    let folder = state.data.join("batches");
    std::fs::create_dir_all(&folder).map_err(|error| super::problem::from_io(&error))?;
    // Named by the batch once there is one; until then nobody else knows this name.
    let unnamed = folder.join(format!("{}.pdf", BatchId::fresh()));
    let pressed = press::make_batch(&state.registry, &state.config, &state.data, &order, &unnamed).await?;
    std::fs::rename(&unnamed, batch_file(&state, pressed.batch.id))
        .map_err(|error| super::problem::from_io(&error))?;
    let location = format!("/api/v1/plate-batches/{}", pressed.batch.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(shapes::batch(&pressed.batch)))
        .into_response())
}

fn batch_file(state: &AppState, id: BatchId) -> PathBuf {
    state.data.join("batches").join(format!("{id}.pdf"))
}

async fn wanted(state: &AppState, body: &BatchBody) -> Result<Wanted, Problem> {
    match (body.count, &body.covers, &body.filter) {
        (Some(count), None, None) if (1..=MOST_PLATES).contains(&count) => Ok(Wanted::Blank(count)),
        (Some(count), None, None) => {
            Err(Refusal::new("batch.count").at("count").with("count", count).with("most", MOST_PLATES).into())
        }
        (None, Some(codes), None) => {
            if codes.is_empty() || codes.len() > MOST_PLATES {
                let refusal = Refusal::new("batch.count").at("covers").with("count", codes.len());
                return Err(refusal.with("most", MOST_PLATES).into());
            }
            let mut covers: Vec<CoverId> = Vec::with_capacity(codes.len());
            for code in codes {
                let file = state.registry.find_cover_by_code(code).await?;
                covers.push(file.ok_or_else(|| super::desk::unknown_cover(code))?.cover);
            }
            Ok(Wanted::Covers(covers))
        }
        (None, None, Some(Object(filter))) => Ok(Wanted::Matching(CoverFilter {
            district: filter.district.clone(),
            class: filter.class.as_deref().map(str::parse).transpose()?,
            road: filter.road.clone(),
            without_plate: true,
            limit: 1000,
            ..CoverFilter::default()
        })),
        _ => Err(Refusal::new("batch.one_of").with("fits", "count, covers, filter").into()),
    }
}

async fn known_batch(state: &AppState, id: &str) -> Result<Batch, Problem> {
    let unknown = || {
        let refusal = Refusal::new("batch.unknown").at("id").with("read", super::forms::shortened(id));
        Problem { status: StatusCode::NOT_FOUND, refusal }
    };
    let parsed: BatchId = id.parse().map_err(|_| unknown())?;
    state.registry.find_batch(parsed).await?.ok_or_else(unknown)
}

pub(super) async fn find_batch(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(id): Named,
) -> Result<Response, Problem> {
    Ok(Json(shapes::batch(&known_batch(&state, &id).await?)).into_response())
}

/// The sheets; drawn again from the ledger when the file is not here, which gives the same symbols.
pub(super) async fn batch_pdf(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(id): Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let batch = known_batch(&state, &id).await?;
    let etag = format!("\"{}\"", batch.id);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let file = batch_file(&state, batch.id);
    if !file.exists() {
        let _slot = state.shared.heavy_slots.acquire().await;
        std::fs::create_dir_all(state.data.join("batches"))
            .map_err(|error| super::problem::from_io(&error))?;
        press::reprint(&state.registry, &state.config, &state.data, (batch.id, &[]), &file).await?;
    }
    let bytes = tokio::fs::read(&file).await.map_err(|error| super::problem::from_io(&error))?;
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::ETAG, etag),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"plates-{}.pdf\"", batch.id)),
    ];
    Ok((headers, bytes).into_response())
}

pub(super) async fn batch_ledger(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    Named(id): Named,
) -> Result<Response, Problem> {
    let batch = known_batch(&state, &id).await?;
    let plates = press::list_plates(&state.registry, batch.id).await?;
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CACHE_CONTROL, "private, no-store")];
    Ok((headers, press::ledger(&plates)).into_response())
}
