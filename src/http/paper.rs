//! The file of a cover as PDF.

use std::io::Read;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::desk::{may_see_photo, unknown_cover};
use super::edit_page::Lists;
use super::views::{self, CoverView};
use super::{AppState, Problem};
use crate::domain::case::Case;
use crate::domain::role::Role;
use crate::photos::{PhotoDigest, PhotoStore};
use crate::plates::{Palette, PlateError, render_dossier};
use crate::registry::ChainState;

/// Photos in one document, the newest: so many fit into a letter.
const MOST_PHOTOS: usize = 24;

pub(super) async fn cover_file_pdf(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    Named(code): Named,
) -> Result<Response, Problem> {
    let registry = &state.registry;
    let file = registry.find_cover_by_code(&code).await?.ok_or_else(|| unknown_cover(&code))?;
    let chain = registry.verify_history(file.manhole).await?.unwrap_or(ChainState::Broken { sequence: 0 });
    // A handler sees the cases of their own party, as on the page.
    let is_theirs = |case: &Case| {
        caller.user.role != Role::Handler || (case.party.is_some() && case.party == caller.user.party)
    };
    let mut cases = registry.list_manhole_cases(file.manhole).await?;
    cases.retain(is_theirs);
    let mut photos = registry.list_photos(file.manhole).await?;
    photos.retain(|photo| may_see_photo(&caller.user, photo, &cases));
    photos.reverse();
    photos.truncate(MOST_PHOTOS);
    let plates = registry.list_cover_plates(file.cover).await?;
    let history = registry.list_history(file.manhole).await?;
    let mut beside = registry.list_manhole_covers(file.manhole).await?;
    beside.retain(|other| other.cover != file.cover);
    let (former, earlier) =
        (registry.list_former_codes(file.cover).await?, registry.list_earlier_files(file.manhole).await?);
    let lists = Lists::read(&state).await?;
    let view = CoverView {
        file: &file,
        beside: &beside,
        former: &former,
        earlier: &earlier,
        plates: &plates,
        cases: &cases,
        photos: &photos,
        history: &history,
        chain,
        neighbors: &[],
        asked: None,
        names: lists.names(),
    };
    let digits = &file.code.digits;
    let address = format!("{}/covers/{digits}/file.pdf", state.config.plate_base());
    let dossier = views::cover_paper(&reader.page(&state, caller.session.as_ref()), &view, address);
    let digests: Vec<PhotoDigest> = photos.iter().map(|photo| PhotoDigest(photo.digest)).collect();
    let store = state.photos.clone();
    let rendered = tokio::task::spawn_blocking(move || {
        let mut pdf = Vec::new();
        let picture = |at: usize| read_picture(&store, *digests.get(at)?);
        render_dossier(&dossier, &Palette::built_in(), picture, &mut pdf).map(|_| pdf)
    });
    let pdf = match rendered.await {
        Ok(Ok(pdf)) => pdf,
        Ok(Err(PlateError::Refused(refusal))) => return Err(refusal.into()),
        Ok(Err(error)) => {
            tracing::error!(error = ?error, "a file was not printed");
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "http.broken"));
        }
        Err(_) => return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "http.broken")),
    };
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"file-{digits}.pdf\"")),
    ];
    Ok((headers, pdf).into_response())
}

/// A photo without its metadata; one that is not there leaves an empty frame, which `lidmark check` explains.
fn read_picture(store: &PhotoStore, digest: PhotoDigest) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    store.open_public(digest).ok()??.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
