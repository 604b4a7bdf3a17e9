//! The ground of the map from a file beside the database: nothing is fetched from elsewhere.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ask::{Asked, Nothing};
use super::{AppState, Problem};
use crate::config::{MapBase, MapSettings};
use crate::domain::Refusal;
use crate::spatial::TileId;
use crate::tiles::{PmTiles, etag, is_known};

/// The file that the settings name, opened once; else why it cannot be used.
pub(super) type Ground = Result<Arc<PmTiles>, Refusal>;

/// Opens the file of the settings.
pub(super) fn open(map: &MapSettings, data: &FilePath) -> Ground {
    let missing = || Refusal::new("tile.no_ground");
    if map.base != MapBase::Pmtiles {
        return Err(missing().with("reason", "[map] base"));
    }
    let file = data.join(&map.file);
    PmTiles::open(&file).map(Arc::new).map_err(|error| {
        tracing::error!(map.file = %file.display(), %error, "the file of the base map cannot be used");
        missing().with("reason", error)
    })
}

pub(super) async fn tile(
    State(state): State<AppState>,
    _: Asked<Nothing>,
    headers: HeaderMap,
    Path((z, x, y)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let id = TileId::parse(&z, &x, &y).map_err(Problem::bad_request)?;
    let ground = state.ground().map_err(|refusal| Problem { status: StatusCode::NOT_FOUND, refusal })?;
    let tiles = ground.clone();
    let read = tokio::task::spawn_blocking(move || tiles.read(id.zoom(), id.x(), id.y())).await;
    let cache = (header::CACHE_CONTROL, "private, max-age=86400".to_owned());
    let bytes = match read {
        Ok(Ok(Some(bytes))) if !bytes.is_empty() => bytes,
        Ok(Ok(_)) => return Ok((StatusCode::NO_CONTENT, [cache]).into_response()),
        Ok(Err(error)) => {
            tracing::error!(%error, "the file of the base map is broken");
            let refusal = Refusal::new("tile.no_ground").with("reason", error);
            return Err(Problem { status: StatusCode::NOT_FOUND, refusal });
        }
        Err(error) => return Err(super::problem::from_io(&std::io::Error::other(error))),
    };
    let tag = etag(&bytes);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| is_known(known, &bytes)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag), cache]).into_response());
    }
    let kind = (header::CONTENT_TYPE, ground.kind.media_type().to_owned());
    Ok(([(header::ETAG, tag), cache, kind], bytes).into_response())
}
