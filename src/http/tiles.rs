//! Vector tiles of all covers, answered from the snapshot; public fields only.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ask::{Asked, Nothing};
use super::open311::own_address;
use super::{AppState, Problem};
use crate::spatial::TileId;
use crate::tiles::{
    CellCount, CoverPoint, TileAddress, TileJson, encode_counts, encode_covers, etag, is_known, on_grid,
};

/// Below this zoom a tile holds counts, not covers.
const COVERS_FROM_ZOOM: u32 = 13;
/// Cells a side in a tile of counts.
const CELLS: u32 = 32;
/// Deepest public zoom. A tile's grid is then 15 cm; the surveyed position itself is not public.
const MAX_ZOOM: u32 = 16;

/// A place as the deepest tile tells it, for answers that are no tiles.
pub(super) fn public_place(lon: f64, lat: f64) -> (f64, f64) {
    on_grid(MAX_ZOOM, lon, lat)
}

pub(super) async fn tile_json(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    headers: HeaderMap,
) -> Response {
    let config = &state.config;
    let json = TileJson {
        // TileJSON 3.0 wants the whole address.
        tiles: format!("{}/tiles/covers/{{z}}/{{x}}/{{y}}", own_address(&state, &headers)),
        name: config.city_zh.clone(),
        attribution: Some(config.attribution.clone()).filter(|text| !text.is_empty()),
        bounds: None,
        min_zoom: 0,
        max_zoom: MAX_ZOOM,
    };
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], json.to_json())
        .into_response()
}

pub(super) async fn tile(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Path((z, x, y)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let id = TileId::parse(&z, &x, &y).map_err(Problem::bad_request)?;
    if id.zoom() > MAX_ZOOM {
        return Err(Problem::not_found("tile.too_deep"));
    }
    let snapshot = state.snapshot.load();
    let bytes = if id.zoom() < COVERS_FROM_ZOOM {
        let cells = snapshot.grid_in_tile(id, CELLS);
        encode_counts(
            CELLS,
            cells.iter().map(|cell| CellCount {
                column: cell.column,
                row: cell.row,
                count: cell.count as u64,
            }),
        )
    } else {
        let address = TileAddress { zoom: id.zoom(), x: id.x(), y: id.y() };
        let points = snapshot.in_tile(id).map(|row| CoverPoint {
            lon: row.lon,
            lat: row.lat,
            id: None,
            class: row.class,
            state: row.state,
            has_plate: row.flags.has_plate,
            open_case: row.flags.open_case,
        });
        encode_covers(address, points)
    };
    let tag = etag(snapshot.version(), &bytes);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let cache = (header::CACHE_CONTROL, "no-cache".to_owned());
    if known.is_some_and(|known| is_known(known, &bytes)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag), cache]).into_response());
    }
    if bytes.is_empty() {
        return Ok((StatusCode::NO_CONTENT, [(header::ETAG, tag), cache]).into_response());
    }
    let kind = (header::CONTENT_TYPE, "application/vnd.mapbox-vector-tile".to_owned());
    Ok(([(header::ETAG, tag), cache, kind], bytes).into_response())
}
