//! Orders of plates on this server: small ones are made while the caller waits, large ones go on in the
//! background, one at a time with all other heavy work, also after the server was killed.

use std::path::PathBuf;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::census_work::{self, Subject};
use super::problem::from_io;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::BatchId;
use crate::domain::plate_batch::{BatchState, Ordinals};
use crate::press::{self, Files, Placed, PlateOrder, Sheets};
use crate::registry::Batch;

/// An order of more plates goes on in the background: so many are made within a few seconds.
pub(super) const WAITED_FOR: usize = 10_000;

/// Places an order; answers its batch and whether it is made.
pub(super) async fn place(state: &AppState, order: &PlateOrder) -> Result<Batch, Problem> {
    let placed = {
        let _slot = state.shared.heavy_slots.acquire().await;
        std::fs::create_dir_all(state.data.join("batches")).map_err(|error| from_io(&error))?;
        let target = |id| Files::in_data(&state.data, id).whole();
        press::place(&state.registry, &state.config, &state.data, order, (WAITED_FOR, &target)).await?
    };
    let id = match placed {
        Placed::Made(made) => return Ok(made.batch),
        Placed::UnderWay(id) => id,
    };
    go_on(state, id);
    known(state, id).await
}

/// Goes on with an order in the background, unless somebody is at it.
pub(super) fn go_on(state: &AppState, id: BatchId) {
    census_work::start(state, Subject::Batch(id), move |state, progress| async move {
        let files = Files::in_data(&state.data, id);
        let far = |done: i64| progress.set_rows(done.unsigned_abs());
        let ended = press::go_on(&state.registry, &state.config, &state.data, (id, &files), far).await;
        match ended {
            Ok(batch) => {
                tracing::info!(batch.id = %id, batch.plates = batch.plate_count, "an order of plates is done");
            }
            Err(error) => {
                let code = error.refusal().map_or("broken", |refusal| refusal.code);
                tracing::error!(batch.id = %id, code, error = ?error, "an order of plates stands still");
            }
        }
    });
}

impl AppState {
    /// Goes on with orders that a killed server left in the middle. Those of the command line are left to
    /// whoever gave them.
    pub async fn resume_plate_orders(&self) {
        match self.registry.list_open_orders().await {
            Ok(open) => {
                open.iter()
                    .filter(|batch| batch.order.target.is_none())
                    .for_each(|batch| go_on(self, batch.id));
            }
            Err(error) => tracing::warn!(%error, "orders of plates wait for somebody to look"),
        }
    }
}

/// How far an order has come, in plates; `None` = nobody is at it. `Some(None)` = other work goes first.
pub(super) fn progress(state: &AppState, id: BatchId) -> Option<Option<u64>> {
    state.shared.works.find(Subject::Batch(id)).map(|progress| progress.rows())
}

fn unknown(text: &str) -> Problem {
    let refusal = Refusal::new("batch.unknown").at("id").with("read", super::forms::shortened(text));
    Problem { status: StatusCode::NOT_FOUND, refusal }
}

/// The batch that an address names.
pub(super) async fn named(state: &AppState, id: &str) -> Result<Batch, Problem> {
    let parsed: BatchId = id.parse().map_err(|_| unknown(id))?;
    state.registry.find_batch(parsed).await?.ok_or_else(|| unknown(id))
}

pub(super) async fn known(state: &AppState, id: BatchId) -> Result<Batch, Problem> {
    named(state, &id.to_string()).await
}

/// The file and the plates of a batch that an address names; of the plates none was ever issued.
pub(super) async fn named_plates(
    state: &AppState,
    batch: &Batch,
    (file, only): (Option<&str>, Option<&str>),
) -> Result<(Option<i64>, Option<Ordinals>), Problem> {
    let number = |text: &str| {
        let refusal = || Refusal::new("form.whole_number").at("file").with("field", "file");
        text.parse::<i64>().map_err(|_| refusal().with("read", super::forms::shortened(text)))
    };
    let file = file.map(number).transpose().map_err(Problem::bad_request)?;
    let only = only.map(str::parse::<Ordinals>).transpose().map_err(Problem::bad_request)?;
    if let Some(only) = &only {
        state.registry.check_never_issued(batch.id, only).await?;
    }
    Ok((file, only))
}

/// Which sheets of a batch a request asks for.
pub(super) fn asked_sheets(
    batch: &Batch,
    file: Option<i64>,
    only: Option<&Ordinals>,
) -> Result<Sheets, Refusal> {
    if let Some(only) = only {
        return Ok(Sheets::Only(only.clone()));
    }
    let files = press::file_count(batch);
    let refuse = |read: i64| Refusal::new("batch.file").at("file").with("read", read).with("count", files);
    match (file, batch.order.split) {
        (Some(file), _) if !(1..=files).contains(&file) => Err(refuse(file)),
        (Some(file), Some(_)) => Ok(Sheets::File(file)),
        (None, Some(_)) if files != 1 => Err(refuse(0)),
        (None, Some(_)) => Ok(Sheets::File(1)),
        (_, None) => Ok(Sheets::All),
    }
}

fn kept_at(state: &AppState, batch: &Batch, sheets: &Sheets) -> Option<PathBuf> {
    match sheets {
        Sheets::All => Some(Files::in_data(&state.data, batch.id).whole()),
        Sheets::File(file) => Some(Files::in_data(&state.data, batch.id).path(*file)),
        Sheets::Only(_) => None,
    }
}

/// Sends sheets; they are drawn again from the ledger when their file is not here, which gives the same
/// symbols.
pub(super) async fn send_sheets(
    state: &AppState,
    batch: &Batch,
    sheets: Sheets,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let name = match &sheets {
        Sheets::All => format!("plates-{}", batch.id),
        Sheets::File(file) => format!("plates-{}-{file:03}", batch.id),
        Sheets::Only(_) => format!("plates-{}-again", batch.id),
    };
    let etag = format!("\"{name}\"");
    let kept = kept_at(state, batch, &sheets);
    let is_known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    // A file of an order under way is there as soon as its plates are.
    if is_known && kept.is_some() {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let file = match kept {
        Some(path) => {
            if !path.exists() {
                let _slot = state.shared.heavy_slots.acquire().await;
                std::fs::create_dir_all(state.data.join("batches")).map_err(|error| from_io(&error))?;
                draw(state, batch, &sheets, &path).await?;
            }
            std::fs::File::open(&path).map_err(|error| from_io(&error))?
        }
        None => {
            let _slot = state.shared.heavy_slots.acquire().await;
            let folder = state.data.join("outgoing");
            std::fs::create_dir_all(&folder).map_err(|error| from_io(&error))?;
            let place = tempfile::tempdir_in(&folder).map_err(|error| from_io(&error))?;
            let path = place.path().join("again.pdf");
            draw(state, batch, &sheets, &path).await?;
            std::fs::File::open(&path).map_err(|error| from_io(&error))?
        }
    };
    let length = file.metadata().map_err(|error| from_io(&error))?.len();
    let mut headers = HeaderMap::new();
    let mut put = |name, text: String| {
        if let Ok(value) = header::HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, "application/pdf".to_owned());
    put(header::CONTENT_LENGTH, length.to_string());
    put(header::CACHE_CONTROL, "private, no-cache".to_owned());
    put(header::CONTENT_DISPOSITION, format!("inline; filename=\"{name}.pdf\""));
    if !matches!(sheets, Sheets::Only(_)) {
        put(header::ETAG, etag);
    }
    Ok((headers, Body::from_stream(super::exports::parts(file))).into_response())
}

async fn draw(
    state: &AppState,
    batch: &Batch,
    sheets: &Sheets,
    path: &std::path::Path,
) -> Result<(), Problem> {
    press::reprint(&state.registry, &state.config, &state.data, (batch.id, sheets), path).await?;
    Ok(())
}

/// Ends an order with the files that are made.
pub(super) async fn stop(state: &AppState, id: BatchId) -> Result<Option<Batch>, Problem> {
    Ok(state.registry.stop_order(id).await?)
}

/// Whether an order wants somebody to say "go on".
pub(super) fn stands_still(state: &AppState, batch: &Batch) -> bool {
    batch.order.state == BatchState::UnderWay && progress(state, batch.id).is_none()
}
