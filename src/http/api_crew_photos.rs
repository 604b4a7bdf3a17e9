//! Photos from the field, piece by piece under an id that the phone made: what was answered is on the disk,
//! whatever becomes of the network, the phone or the server.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, MutexGuard};

use super::ask::{Asked, Named, Nothing, Reader, has_media_type};
use super::auth::Caller;
use super::conflict::problem_with;
use super::forms::store_photos;
use super::problem::from_io;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::{FieldPhotoId, Millis};
use crate::registry::{FieldPhoto, KeptPhoto};

/// Most bytes of one piece: a few seconds on a poor network.
pub(super) const PIECE: usize = 256 << 10;
/// Pieces of photos that share a lock come one after the other.
const LOCKS: usize = 16;
const DAY_MS: i64 = 86_400_000;
/// How often old photos are looked for.
const CLEARING_MS: i64 = 3_600_000;

/// What the pieces of photos that come in share.
#[derive(Default)]
pub(super) struct Intake {
    locks: [Mutex<()>; LOCKS],
    cleared_at: AtomicI64,
}

impl Intake {
    async fn alone(&self, id: FieldPhotoId) -> MutexGuard<'_, ()> {
        let [.., last] = id.0.into_bytes();
        self.locks[usize::from(last) % LOCKS].lock().await
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Piece {
    offset: u64,
    total: u64,
}

fn shelf(state: &AppState) -> PathBuf {
    state.data.join("incoming").join("crew")
}

fn body_of(state: &AppState, id: FieldPhotoId) -> PathBuf {
    shelf(state).join(id.to_string())
}

/// Bytes that are here.
async fn received(path: &Path) -> Result<u64, Problem> {
    match tokio::fs::metadata(path).await {
        Ok(about) => Ok(about.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(from_io(&error)),
    }
}

fn shown(received: u64, complete: bool) -> Response {
    Json(json!({"received": received, "complete": complete})).into_response()
}

pub(super) async fn find_photo(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    Named(id): Named,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("photo.unknown");
    let id: FieldPhotoId = id.parse().map_err(|_| unknown())?;
    let photo = state.registry.find_field_photo(id, &caller.actor()).await?.ok_or_else(unknown)?;
    let _alone = state.shared.crew_photos.alone(id).await;
    match photo.kept {
        Some(_) => Ok(shown(photo.total.unsigned_abs(), true)),
        None => arrived(&state, &photo).await,
    }
}

pub(super) async fn send_piece(
    State(state): State<AppState>,
    caller: Caller,
    reader: Reader,
    Named(id): Named,
    Asked(piece): Asked<Piece>,
    mut request: Request,
) -> Result<Response, Problem> {
    let id: FieldPhotoId = id.parse()?;
    check_total(&state, piece.total)?;
    if !has_media_type(request.headers(), "application/octet-stream") {
        let refusal = Refusal::new("http.media_type").with("fits", "application/octet-stream");
        return Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal });
    }
    DefaultBodyLimit::max(PIECE).apply(&mut request);
    let bytes = Bytes::from_request(request, &state).await.map_err(|rejection| {
        match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let refusal = Refusal::new("photo.piece").with("most", PIECE >> 10);
                Problem { status: StatusCode::PAYLOAD_TOO_LARGE, refusal }
            }
            _ => Problem::bad_request(Refusal::new("http.body_cut_off")),
        }
    })?;
    let photo = state.registry.announce_field_photo(id, piece.total, &caller.actor()).await?;
    let _alone = state.shared.crew_photos.alone(id).await;
    let known = state.registry.find_field_photo(id, &caller.actor()).await?;
    if known.is_some_and(|known| known.kept.is_some()) {
        return Ok(shown(piece.total, true));
    }
    let path = body_of(&state, id);
    let here = received(&path).await?;
    if piece.offset > here {
        let refusal = Refusal::new("photo.offset").at("offset").with("read", piece.offset);
        let more = Map::from_iter([("received".to_owned(), json!(here))]);
        let refusal = refusal.with("received", here);
        return Ok(problem_with(&reader, StatusCode::CONFLICT, &refusal, more));
    }
    // A piece whose answer was lost comes again, as a whole or in part.
    let known = usize::try_from(here - piece.offset).unwrap_or(usize::MAX).min(bytes.len());
    let fresh = bytes.slice(known..);
    if here + fresh.len() as u64 > piece.total {
        let refusal = Refusal::new("photo.beyond").at("total").with("total", piece.total);
        return Err(refusal.into());
    }
    append(&path, &fresh, here == 0).await.map_err(|error| from_io(&error))?;
    arrived(&state, &photo).await
}

fn check_total(state: &AppState, total: u64) -> Result<(), Problem> {
    if total == 0 {
        return Err(Refusal::new("photo.empty").at("total").into());
    }
    if total > state.photos.limits().bytes as u64 {
        let megabytes = state.photos.limits().bytes / 1_000_000;
        let refusal = Refusal::new("photo.too_large").at("total").with("megabytes", megabytes);
        return Err(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, refusal });
    }
    Ok(())
}

/// Adds bytes; when it returns they are on the disk.
async fn append(path: &Path, bytes: &[u8], is_first: bool) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|_| is_first) {
        tokio::fs::create_dir_all(folder).await?;
    }
    let mut file = tokio::fs::File::options().create(true).append(true).open(path).await?;
    file.write_all(bytes).await?;
    file.flush().await?;
    file.sync_all().await?;
    if let Some(folder) = path.parent().filter(|_| is_first) {
        // The name of a new file must last, too.
        tokio::fs::File::open(folder).await?.sync_all().await?;
    }
    Ok(())
}

/// Says how much of a photo is here, and puts a whole one into the photo store. A server that was killed
/// in between does so when somebody asks again.
async fn arrived(state: &AppState, photo: &FieldPhoto) -> Result<Response, Problem> {
    let path = body_of(state, photo.id);
    let here = received(&path).await?;
    if here < photo.total.unsigned_abs() {
        return Ok(shown(here, false));
    }
    let bytes = tokio::fs::read(&path).await.map_err(|error| from_io(&error))?;
    let stored = match store_photos(state, vec![bytes.into()]).await {
        Ok(mut stored) => stored.pop().ok_or_else(Problem::broken)?,
        Err(problem) if problem.status.is_client_error() => {
            state.registry.forget_field_photo(photo.id).await?;
            remove(&path).await;
            return Err(problem);
        }
        Err(problem) => return Err(problem),
    };
    let kept = KeptPhoto {
        digest: stored.digest,
        media_type: stored.media_type,
        width: stored.width,
        height: stored.height,
    };
    state.registry.keep_field_photo(photo.id, kept).await?;
    remove(&path).await;
    Ok(shown(here, true))
}

async fn remove(path: &Path) {
    if let Err(error) = tokio::fs::remove_file(path).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "pieces of a photo stay behind");
    }
}

/// Clears away photos that no action named for too long, once an hour at most.
pub(super) async fn clear_old(state: &AppState) -> Result<(), Problem> {
    let (now, days) = (state.registry.now().0, i64::from(state.config.waiting_days));
    let last = state.shared.crew_photos.cleared_at.swap(now, Ordering::Relaxed);
    if days == 0 || (now - last).abs() < CLEARING_MS {
        if days > 0 {
            state.shared.crew_photos.cleared_at.store(last, Ordering::Relaxed);
        }
        return Ok(());
    }
    for id in state.registry.forget_old_field_photos(Millis(now - days * DAY_MS)).await? {
        remove(&body_of(state, id)).await;
    }
    Ok(())
}
