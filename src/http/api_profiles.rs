//! 导入方案 for programs: saved profiles with their versions, as JSON with the TOML text inside.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Named, Nothing, Said};
use super::auth::Caller;
use super::{AppState, Problem, json};
use crate::domain::import_profile::{ProfileName, ProfileRef, SavedProfile};
use crate::import::{City, Profile, built_in_profiles, find_built_in};
use crate::intake;
use crate::registry::{ProfileOrder, ProfileSaved};

fn built_in(profile: &Profile) -> Value {
    json!({"name": profile.id, "version": profile.version, "built_in": true})
}

fn saved(profile: &SavedProfile) -> Value {
    json!({
        "name": profile.name,
        "version": profile.version,
        "built_in": false,
        "why": profile.why,
        "by": profile.actor,
        "saved_at": json::time(profile.saved_at),
        "removed": profile.removed_at.is_some(),
    })
}

fn with_text(mut about: Value, text: &str) -> Value {
    about["text"] = json!(text);
    about
}

/// What the city brings along for reading files.
pub(super) async fn city(state: &AppState) -> Result<Arc<City>, Problem> {
    let city = intake::city_of(
        Some(&state.registry),
        &state.data,
        &state.config.scheme,
        state.config.utc_offset_minutes,
    )
    .await?;
    Ok(Arc::new(city))
}

pub(super) async fn list_profiles(
    State(state): State<AppState>,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let mut all: Vec<Value> = state.registry.list_profiles().await?.iter().map(saved).collect();
    all.extend(built_in_profiles().iter().map(built_in));
    Ok(Json(json!({"profiles": all})).into_response())
}

/// By `NAME` the newest that is offered, by `NAME@VERSION` that one.
pub(super) async fn find_profile(
    State(state): State<AppState>,
    Named(name): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    if let Some(profile) = find_built_in(&name) {
        return Ok(Json(with_text(built_in(&profile), &profile.text)).into_response());
    }
    let found = state.registry.find_profile(&name.parse::<ProfileRef>()?).await?;
    Ok(Json(with_text(saved(&found), &found.text)).into_response())
}

pub(super) async fn list_versions(
    State(state): State<AppState>,
    Named(name): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let versions = state.registry.list_profile_versions(&name.parse::<ProfileName>()?).await?;
    Ok(Json(json!({"versions": versions.iter().map(saved).collect::<Vec<_>>()})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVersion {
    text: String,
    #[serde(default)]
    why: String,
}

/// Adds a version; the same text once more adds none.
pub(super) async fn put_profile(
    State(state): State<AppState>,
    caller: Caller,
    Named(name): Named,
    _: Asked<Nothing>,
    Said(new): Said<NewVersion>,
) -> Result<Response, Problem> {
    let order = ProfileOrder { name: name.parse()?, text: new.text, why: new.why };
    let city = city(&state).await?;
    let kept = intake::save_profile(&state.registry, &city, order, &caller.actor()).await?;
    let status = match kept {
        ProfileSaved::New(_) => StatusCode::CREATED,
        ProfileSaved::Same(_) => StatusCode::OK,
    };
    let profile = kept.profile();
    Ok((status, Json(with_text(saved(profile), &profile.text))).into_response())
}

/// Offers a profile no more; its versions stay for the record.
pub(super) async fn delete_profile(
    State(state): State<AppState>,
    Named(name): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    state.registry.remove_profile(&name.parse()?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
