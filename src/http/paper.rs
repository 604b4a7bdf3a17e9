//! Documents as PDF: the file of a cover.

use std::io::Read;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::views;
use super::whole_file::WholeFile;
use super::{AppState, Problem};
use crate::photos::{PhotoDigest, PhotoStore};
use crate::plates::{Palette, PlateError, render_dossier};

/// Photos in one document, the newest: so many fit into a letter.
const MOST_PHOTOS: usize = 24;

pub(super) async fn cover_file_pdf(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(code): Named,
) -> Result<Response, Problem> {
    let mut whole = WholeFile::read(&state, &caller, &code).await?;
    whole.photos.reverse();
    whole.photos.truncate(MOST_PHOTOS);
    let digits = &whole.file.code.digits;
    let address = format!("{}/covers/{digits}/file.pdf", state.config.plate_base());
    let dossier = views::cover_paper(&reader.page(&state, caller.session.as_ref()), &whole.view(), address);
    let digests: Vec<PhotoDigest> = whole.photos.iter().map(|photo| PhotoDigest(photo.digest)).collect();
    let store = state.photos.clone();
    let pdf = drawn(move |pdf| {
        let picture = |at: usize| read_picture(&store, *digests.get(at)?);
        render_dossier(&dossier, &Palette::built_in(), picture, pdf)
    })
    .await?;
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"file-{digits}.pdf\"")),
    ];
    Ok((headers, pdf).into_response())
}

/// Draws a document on a thread of its own.
pub(super) async fn drawn(
    draw: impl FnOnce(&mut Vec<u8>) -> Result<u64, PlateError> + Send + 'static,
) -> Result<Vec<u8>, Problem> {
    let rendered = tokio::task::spawn_blocking(move || {
        let mut pdf = Vec::new();
        draw(&mut pdf).map(|_| pdf)
    });
    match rendered.await {
        Ok(Ok(pdf)) => Ok(pdf),
        Ok(Err(PlateError::Refused(refusal))) => Err(refusal.into()),
        Ok(Err(error)) => {
            tracing::error!(error = ?error, "a document was not printed");
            Err(Problem::broken())
        }
        Err(_) => Err(Problem::broken()),
    }
}

/// A photo without its metadata; one that is not there leaves an empty frame, which `lidmark check` explains.
fn read_picture(store: &PhotoStore, digest: PhotoDigest) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    store.open_public(digest).ok()??.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
