//! Plates for programs: what a scan shows, fitting.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::ask::{Asked, From, Named, Nothing, Said};
use super::auth::Caller;
use super::sparse::{PUBLIC_PLATE, Picked, Sparse};
use super::{AppState, Problem, json as shapes};
use crate::domain::token::Token;
use crate::registry::ScannedPlate;

fn public_plate(state: &AppState, scanned: &ScannedPlate, sparse: &Sparse) -> Response {
    let grouped = scanned.cover.as_ref().map(|file| state.registry.grouped_code(&file.code));
    Json(sparse.pick(shapes::public_plate(scanned, grouped))).into_response()
}

pub(super) async fn find_plate(
    State(state): State<AppState>,
    From(network): From,
    Picked(Nothing {}, fields): Picked<Nothing>,
    Named(token): Named,
) -> Result<Response, Problem> {
    let sparse = fields.of(&PUBLIC_PLATE)?;
    let token: Token = token.parse()?;
    let Some(scanned) = state.registry.find_plate(token).await? else {
        state.shared.counters.count_unknown_token();
        state.shared.tries.count(network, state.registry.now())?;
        return Err(Problem::not_found("plate.unknown"));
    };
    Ok(public_plate(&state, &scanned, &sparse))
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
    Ok(public_plate(&state, &scanned, &Sparse::default()))
}
