//! Vector tiles of all covers, answered from the snapshot: for everybody with public fields only, and for staff
//! at an address of their own, so that no cache on the way can mix the two up.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ask::Asked;
use super::map_choice::MapChoice;
use super::map_query::MapQuery;
use super::open311::own_address;
use super::{AppState, Problem};
use crate::spatial::{Dot, GridCell, SnapshotRow, TileId};
use crate::tiles::{
    CellCount, CoverPoint, StaffPoint, TileAddress, TileJson, encode_counts, encode_covers,
    encode_staff_covers, etag, is_known, on_grid,
};

/// Below this zoom a tile holds counts, not covers.
const COVERS_FROM_ZOOM: u32 = 14;
/// Cells a side in a tile of counts.
const CELLS: u32 = 32;
/// Deepest public zoom. A tile's grid is then 15 cm; the surveyed position itself is not public.
const MAX_ZOOM: u32 = 16;
/// Deepest zoom for staff: 4 cm.
const STAFF_MAX_ZOOM: u32 = 18;
/// A tile of the past stays as it is, but for an import that is taken back.
const SETTLED: &str = "private, max-age=3600";
/// From here on tiles for staff say the codes.
const CODES_FROM_ZOOM: u32 = 16;

/// A place as the deepest tile tells it, for answers that are no tiles.
pub(super) fn public_place(lon: f64, lat: f64) -> (f64, f64) {
    on_grid(MAX_ZOOM, lon, lat)
}

pub(super) async fn tile_json(
    State(state): State<AppState>,
    Asked(query): Asked<MapQuery>,
    RawQuery(filters): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // A filter that nobody understands is told here, and not by every tile.
    query.refuse_moment()?;
    query.filter(&state, false)?;
    let config = &state.config;
    let filters = filters.filter(|filters| !filters.is_empty()).map(|filters| format!("?{filters}"));
    let json = TileJson {
        // TileJSON 3.0 wants the whole address.
        tiles: format!(
            "{}/tiles/covers/{{z}}/{{x}}/{{y}}{}",
            own_address(&state, &headers),
            filters.unwrap_or_default()
        ),
        name: config.city_zh.clone(),
        attribution: Some(config.attribution.clone()).filter(|text| !text.is_empty()),
        bounds: state.shared.extent.bounds(&state.snapshot.load()),
        min_zoom: 0,
        max_zoom: MAX_ZOOM,
    };
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], json.to_json())
        .into_response())
}

/// A tile as everybody may see it.
pub(super) async fn tile(
    state: State<AppState>,
    query: Asked<MapQuery>,
    headers: HeaderMap,
    path: Path<(String, String, String)>,
) -> Result<Response, Problem> {
    draw(state, query, headers, path, false).await
}

/// A tile for staff.
pub(super) async fn staff_tile(
    state: State<AppState>,
    query: Asked<MapQuery>,
    headers: HeaderMap,
    path: Path<(String, String, String)>,
) -> Result<Response, Problem> {
    draw(state, query, headers, path, true).await
}

async fn draw(
    State(state): State<AppState>,
    Asked(query): Asked<MapQuery>,
    headers: HeaderMap,
    Path((z, x, y)): Path<(String, String, String)>,
    is_staff: bool,
) -> Result<Response, Problem> {
    let id = TileId::parse(&z, &x, &y).map_err(Problem::bad_request)?;
    if id.zoom() > if is_staff { STAFF_MAX_ZOOM } else { MAX_ZOOM } {
        return Err(Problem::not_found("tile.too_deep"));
    }
    if !is_staff {
        query.refuse_moment()?;
    }
    let (moment, filter) = (query.moment(&state)?, query.filter(&state, is_staff)?);
    let is_settled = moment.is_settled(state.registry.now());
    let map = state.map_of(moment).await?.into_map();
    let bytes = match filter {
        None => encode(&MapChoice::new(&state, map, None, is_staff), id, is_staff),
        // A filter may pass over the whole city.
        Some(filter) => {
            let drawn = tokio::task::spawn_blocking(move || {
                encode(&MapChoice::new(&state, map, Some(&filter), is_staff), id, is_staff)
            });
            drawn.await.map_err(|_| Problem::broken())?
        }
    };
    let tag = etag(&bytes);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let cache = match (is_staff, is_settled) {
        (true, true) => SETTLED,
        (true, false) => "private, no-cache",
        (false, _) => "no-cache",
    };
    let cache = (header::CACHE_CONTROL, cache);
    if known.is_some_and(|known| is_known(known, &bytes)) {
        return Ok((StatusCode::NOT_MODIFIED, [cache], [(header::ETAG, tag)]).into_response());
    }
    if bytes.is_empty() {
        return Ok((StatusCode::NO_CONTENT, [cache], [(header::ETAG, tag)]).into_response());
    }
    let kind = (header::CONTENT_TYPE, "application/vnd.mapbox-vector-tile");
    Ok(([cache, kind], [(header::ETAG, tag)], bytes).into_response())
}

fn encode(choice: &MapChoice, id: TileId, is_staff: bool) -> Vec<u8> {
    let chosen = choice.chosen();
    if id.zoom() < COVERS_FROM_ZOOM {
        let count =
            |cell: GridCell| CellCount { column: cell.column, row: cell.row, count: cell.count as u64 };
        return encode_counts(CELLS, chosen.grid_in_tile(id, CELLS).into_iter().map(count));
    }
    let address = TileAddress { zoom: id.zoom(), x: id.x(), y: id.y() };
    if !is_staff {
        return encode_covers(address, chosen.dots_in_tile(id).map(point));
    }
    let words = choice.map().lexicon().read();
    let says_code = id.zoom() >= CODES_FROM_ZOOM;
    let staff_point = |row: SnapshotRow| StaffPoint {
        point: point(row.dot()),
        lon: row.lon,
        lat: row.lat,
        load_class: row.attributes.load_class,
        code: says_code.then(|| words.digits(row.attributes.code)),
    };
    encode_staff_covers(address, chosen.rows(id.key_range()).map(staff_point))
}

fn point(dot: Dot) -> CoverPoint {
    let Dot { quadkey, class, state, flags } = dot;
    CoverPoint { quadkey, id: None, class, state, has_plate: flags.has_plate, open_case: flags.open_case }
}
