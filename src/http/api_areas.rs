//! 行政区、管理区与网格 for programs: outlines as GeoJSON, and which district each manhole lies in.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, Nothing, has_media_type, parse_json};
use super::auth::Caller;
use super::cover_query::limit;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::area::{Area, AreaKind, AreaShape, Ring};
use crate::registry::{ImportMode, RegistryError};

/// Bytes of one outline.
const LARGEST: usize = 32 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    kind: String,
    limit: Option<String>,
    #[serde(default)]
    cursor: String,
}

pub(super) fn read_kind(text: &str) -> Result<AreaKind, Refusal> {
    match text {
        "" => Ok(AreaKind::District),
        text => text.parse::<AreaKind>().map_err(|refusal| refusal.at("kind")),
    }
}

fn feature(area: &Area) -> Value {
    json!({
        "type": "Feature",
        "id": format!("{}/{}", area.kind, area.code),
        "properties": {
            "kind": area.kind, "code": area.code, "name_zh": area.name_zh, "name_en": area.name_en,
        },
        "bbox": area.shape.bounds(),
        "geometry": {"type": "MultiPolygon", "coordinates": area.shape},
    })
}

fn geo_json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/geo+json")], value.to_string()).into_response()
}

pub(super) async fn list_areas(
    State(state): State<AppState>,
    Asked(query): Asked<ListQuery>,
) -> Result<Response, Problem> {
    let kind = read_kind(&query.kind).map_err(Problem::bad_request)?;
    let most = limit(query.limit.as_deref(), 100, 500).map_err(Problem::bad_request)?;
    if query.cursor.contains('\0') {
        return Err(Problem::bad_request(Refusal::new("http.query").with("reason", "cursor")));
    }
    let areas = state.registry.list_area_page(kind, &query.cursor, most).await?;
    let features: Vec<Value> = areas.iter().map(feature).collect();
    let mut answer = json!({"type": "FeatureCollection", "features": features});
    if let Some(last) = areas.last().filter(|_| areas.len() as i64 == most) {
        answer["next"] = json!(last.code);
    }
    Ok(geo_json(StatusCode::OK, &answer))
}

/// Kind and code as an address names them; what names no kind names no area.
pub(super) struct AreaNamed(AreaKind, String);

impl<S: Send + Sync> FromRequestParts<S> for AreaNamed {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((kind, code)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("http.unknown_address"))?;
        let unknown = |refusal| Problem { status: StatusCode::NOT_FOUND, refusal };
        Ok(Self(kind.parse::<AreaKind>().map_err(|refusal| unknown(refusal.at("kind")))?, code))
    }
}

pub(super) async fn find_area(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    AreaNamed(kind, code): AreaNamed,
) -> Result<Response, Problem> {
    Ok(geo_json(StatusCode::OK, &feature(&state.registry.find_area(kind, &code).await?)))
}

#[derive(Deserialize)]
struct NewArea {
    #[serde(rename = "type")]
    kind: String,
    properties: Names,
    geometry: Geometry,
}

#[derive(Deserialize)]
struct Names {
    name_zh: String,
    name_en: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "coordinates")]
enum Geometry {
    Polygon(Vec<Ring>),
    MultiPolygon(Vec<Vec<Ring>>),
}

/// Adds an area or draws it anew.
pub(super) async fn put_area(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    AreaNamed(kind, code): AreaNamed,
    mut request: Request,
) -> Result<Response, Problem> {
    let json = ["application/geo+json", "application/json"];
    if !json.iter().any(|fits| has_media_type(request.headers(), fits)) {
        let refusal = Refusal::new("http.media_type").with("fits", json.join(", "));
        return Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal });
    }
    DefaultBodyLimit::max(LARGEST).apply(&mut request);
    let bytes = Bytes::from_request(request, &state)
        .await
        .map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "http.too_large"))?;
    let new: NewArea = parse_json(&bytes)?;
    if new.kind != "Feature" {
        let read: String = new.kind.chars().take(60).collect();
        return Err(Refusal::new("geojson.not_a_feature").at("type").with("read", read).into());
    }
    let parts = match new.geometry {
        Geometry::Polygon(rings) => vec![rings],
        Geometry::MultiPolygon(parts) => parts,
    };
    let Names { name_zh, name_en } = new.properties;
    let name_en = name_en.unwrap_or_else(|| name_zh.clone());
    let area = Area { kind, code: code.clone(), name_zh, name_en, shape: AreaShape::new(parts)? };
    let there = match state.registry.find_area(kind, &code).await {
        Ok(_) => true,
        Err(RegistryError::NotFound(_)) => false,
        Err(error) => return Err(error.into()),
    };
    state.registry.put_areas(vec![area]).await?;
    let area = state.registry.find_area(kind, &code).await?;
    Ok(geo_json(if there { StatusCode::OK } else { StatusCode::CREATED }, &feature(&area)))
}

pub(super) async fn delete_area(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    AreaNamed(kind, code): AreaNamed,
) -> Result<Response, Problem> {
    state.registry.remove_area(kind, &code).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AssignQuery {
    #[serde(default)]
    dry_run: bool,
}

/// Looks at every manhole and moves those that lie in another district than their file says.
pub(super) async fn assign_districts(
    State(state): State<AppState>,
    caller: Caller,
    Asked(query): Asked<AssignQuery>,
) -> Result<Response, Problem> {
    let _slot = state.shared.heavy_slots.acquire().await;
    let mode = if query.dry_run { ImportMode::DryRun } else { ImportMode::Write };
    let check = state.registry.check_districts(mode, &caller.actor(), |_| {}).await?;
    Ok(Json(json!(check)).into_response())
}
