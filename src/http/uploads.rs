//! Census files from scripts, piece by piece: what arrived before a network broke need not be sent again.
//! Once whole, a file waits at the import desk like any other.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::ask::{Asked, Named, Nothing, Reader, Said};
use super::auth::Caller;
use super::census_files::{self as files, CensusUpload, Place, Stage, Wishes};
use super::census_work as work;
use super::problem::from_io;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::UploadId;

/// Most bytes of one piece.
const PIECE: u64 = 16 << 20;
/// Characters of a wish.
const WISH: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUpload {
    name: String,
    size: u64,
    profile: Option<String>,
    source: Option<String>,
    crs: Option<String>,
    encoding: Option<String>,
    layer: Option<String>,
    dates: Option<String>,
    #[serde(default)]
    full: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Offset {
    offset: u64,
}

fn shown(upload: &CensusUpload, received: u64) -> Value {
    json!({
        "id": upload.id,
        "name": upload.name,
        "size": upload.bytes,
        "received": received,
        "state": upload.stage,
        "import": upload.number,
        "page": format!("/admin/imports/files/{}", upload.id),
    })
}

pub(super) async fn create_upload(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Said(new): Said<NewUpload>,
) -> Result<Response, Problem> {
    if new.size == 0 {
        return Err(Refusal::new("upload.no_file").at("size").into());
    }
    files::check_size(&state, new.size)?;
    let said = |text: Option<String>| {
        let text = text.map(|text| text.trim().chars().take(WISH).collect::<String>());
        text.filter(|text| !text.is_empty())
    };
    let upload = CensusUpload {
        id: UploadId::fresh(),
        name: files::plain_name(&new.name),
        bytes: new.size,
        by: caller.user.name.clone(),
        at: state.registry.now(),
        language: reader.language.tag().to_owned(),
        wishes: Wishes {
            profile: said(new.profile),
            source: said(new.source),
            crs: said(new.crs),
            encoding: said(new.encoding),
            layer: said(new.layer),
            dates: said(new.dates),
            mapping: None,
            full: new.full,
        },
        stage: Stage::Receiving,
        refusal: None,
        number: None,
    };
    files::begin(&state, &upload)?;
    Ok((StatusCode::CREATED, Json(shown(&upload, 0))).into_response())
}

pub(super) async fn find_upload(
    State(state): State<AppState>,
    _: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let upload = files::find(&state, files::read_id(&id)?)?;
    Ok(Json(shown(&upload, so_far(&state, &upload))).into_response())
}

/// Bytes that are here; the body of a written file is gone.
fn so_far(state: &AppState, upload: &CensusUpload) -> u64 {
    match upload.stage {
        Stage::Receiving => files::received(state, upload.id),
        _ => upload.bytes,
    }
}

/// Takes the next piece, which begins where the last one ended.
pub(super) async fn send_piece(
    State(state): State<AppState>,
    _: Caller,
    Named(id): Named,
    Asked(query): Asked<Offset>,
    request: Request,
) -> Result<Response, Problem> {
    let mut upload = files::find(&state, files::read_id(&id)?)?;
    let busy = || Problem { status: StatusCode::CONFLICT, refusal: Refusal::new("upload.busy") };
    let _sole = Sole::take(&state, upload.id).ok_or_else(busy)?;
    let mut received = so_far(&state, &upload);
    if query.offset != received || upload.stage != Stage::Receiving {
        let refusal =
            Refusal::new("upload.offset").at("offset").with("read", query.offset).with("received", received);
        return Err(Problem { status: StatusCode::CONFLICT, refusal });
    }
    let body = Place::of(&state, upload.id).body();
    let opened = tokio::fs::File::options().create(true).append(true).open(body).await;
    let mut file = opened.map_err(|error| from_io(&error))?;
    let mut pieces = request.into_body().into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(_) => {
                // What came before the network broke is kept.
                file.flush().await.map_err(|error| from_io(&error))?;
                return Err(Problem::bad_request(Refusal::new("http.body_cut_off")));
            }
        };
        received += piece.len() as u64;
        if received - query.offset > PIECE || received > upload.bytes {
            file.flush().await.map_err(|error| from_io(&error))?;
            let refusal = Refusal::new("upload.piece").with("most", PIECE >> 20).with("size", upload.bytes);
            return Err(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, refusal });
        }
        file.write_all(&piece).await.map_err(|error| from_io(&error))?;
    }
    file.flush().await.map_err(|error| from_io(&error))?;
    if received == upload.bytes {
        file.sync_all().await.map_err(|error| from_io(&error))?;
        upload.stage = Stage::Received;
        files::save(&state, &upload)?;
        work::look(&state, upload.id);
    }
    Ok(Json(shown(&upload, received)).into_response())
}

/// One piece at a time for each file.
struct Sole {
    state: AppState,
    id: UploadId,
}

impl Sole {
    fn take(state: &AppState, id: UploadId) -> Option<Self> {
        let mut receiving = state.shared.receiving.lock().ok()?;
        receiving.insert(id).then(|| Self { state: state.clone(), id })
    }
}

impl Drop for Sole {
    fn drop(&mut self) {
        if let Ok(mut receiving) = self.state.shared.receiving.lock() {
            receiving.remove(&self.id);
        }
    }
}
