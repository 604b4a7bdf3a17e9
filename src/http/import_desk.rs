//! 普查导入: the pages on which a census file is handed in, looked at, and written or thrown away.

use std::path::PathBuf;

use axum::body::Body;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::api_profiles::city;
use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::census_files::{self as files, CensusUpload, Place, Stage, Wishes};
use super::census_work::{self as work, Subject};
use super::desk::page;
use super::forms::{Form, needs_multipart, short_text, unreadable};
use super::problem::{from_io, page_with_problem};
use super::views::{self, DeskView, FileView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::ids::UploadId;
use crate::domain::import_run::ImportNumber;
use crate::import::built_in_profiles;

/// Runs on one page.
const RUNS: i64 = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    before: Option<i64>,
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<Before>,
) -> Result<Response, Problem> {
    Ok(page(desk_page(&state, &reader, &caller, query.before, (&Wishes::default(), None)).await?))
}

async fn desk_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    before: Option<i64>,
    (wishes, wrong): (&Wishes, Option<&Refusal>),
) -> Result<String, Problem> {
    let runs = state.registry.list_imports(before.map(ImportNumber), RUNS).await?;
    let next = runs.last().filter(|_| runs.len() as i64 == RUNS).map(|run| run.number);
    files::clear_old(state)?;
    let waiting = files::list(state)?;
    let profiles = built_in_profiles();
    let saved = state.registry.list_profiles().await?;
    let view =
        DeskView { runs: &runs, waiting: &waiting, profiles: (&profiles, &saved), wishes, next, wrong };
    Ok(views::import_desk(&reader.page(state, caller.session.as_ref()), &view))
}

/// Keeps a file as it comes and goes on to its page.
pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    mut request: Request,
) -> Result<Response, Problem> {
    needs_multipart(request.headers())?;
    let mut wishes = Wishes::default();
    let sent = match announced(&request).map_or(Ok(()), |bytes| files::check_size(&state, bytes)) {
        Ok(()) => {
            DefaultBodyLimit::disable().apply(&mut request);
            receive(&state, &reader, &caller, request, &mut wishes).await
        }
        Err(problem) => Err(problem),
    };
    match sent {
        Ok(id) => Ok(to_page(id)),
        Err(problem) if matches!(problem.status.as_u16(), 413 | 422) => {
            let wrong = (&wishes, Some(&problem.refusal));
            let html = desk_page(&state, &reader, &caller, None, wrong).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

/// Bytes of the file at least, as far as the sender says; the fields around it are small.
fn announced(request: &Request) -> Option<u64> {
    let length = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    Some(length.saturating_sub(16_384))
}

fn to_page(id: UploadId) -> Response {
    Redirect::to(&format!("/admin/imports/files/{id}")).into_response()
}

async fn receive(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    request: Request,
    wishes: &mut Wishes,
) -> Result<UploadId, Problem> {
    let broken = |_| Problem::bad_request(Refusal::new("form.unreadable"));
    let mut form = Multipart::from_request(request, state).await.map_err(broken)?;
    let mut allowed = caller.session.is_none();
    while let Some(part) = form.next_field().await.map_err(unreadable)? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            // The form sends its token before the file, so that nobody else's fills the disk.
            if !allowed {
                caller.check_csrf(None)?;
            }
            return keep(state, reader, caller, part, wishes.clone()).await;
        }
        let text = short_text(part, &name).await?;
        if name == "csrf" {
            caller.check_csrf(Some(&text))?;
            allowed = true;
        } else {
            wish(wishes, &name, &text)?;
        }
    }
    Err(Refusal::new("upload.no_file").at("file").into())
}

/// Takes one field of the form; refuses one that it does not have.
fn wish(wishes: &mut Wishes, name: &str, text: &str) -> Result<(), Problem> {
    let said = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    match name {
        "profile" => wishes.profile = said,
        "source" => wishes.source = said,
        "crs" => wishes.crs = said,
        "encoding" => wishes.encoding = said,
        "layer" => wishes.layer = said,
        "dates" => wishes.dates = said,
        "full" => wishes.full = said.is_some(),
        _ => {
            let read: String = name.chars().take(60).collect();
            return Err(Problem::bad_request(Refusal::new("form.unknown_field").with("field", read)));
        }
    }
    Ok(())
}

/// Writes the bytes to the data folder as they come.
async fn keep(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    mut part: Field<'_>,
    wishes: Wishes,
) -> Result<UploadId, Problem> {
    let id = UploadId::fresh();
    let mut upload = CensusUpload {
        id,
        name: files::plain_name(part.file_name().unwrap_or_default()),
        bytes: 0,
        by: caller.user.name.clone(),
        at: state.registry.now(),
        language: reader.language.tag().to_owned(),
        wishes,
        stage: Stage::Receiving,
        refusal: None,
        number: None,
    };
    let place = files::begin(state, &upload)?;
    let received = async {
        let mut body = tokio::fs::File::create(place.body()).await.map_err(|error| from_io(&error))?;
        while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
            upload.bytes += chunk.len() as u64;
            files::check_size(state, upload.bytes)?;
            body.write_all(&chunk).await.map_err(|error| from_io(&error))?;
        }
        body.flush().await.map_err(|error| from_io(&error))?;
        if upload.bytes == 0 {
            return Err(Refusal::new("upload.no_file").at("file").into());
        }
        upload.stage = Stage::Received;
        files::save(state, &upload)
    };
    if let Err(problem) = received.await {
        files::discard(state, id)?;
        return Err(problem);
    }
    work::look(state, id);
    Ok(id)
}

pub(super) async fn show_file(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let upload = files::find(&state, files::read_id(&id)?)?;
    if upload.stage == Stage::Received {
        // Nothing but a look that was broken off with the server leaves a file in this state.
        work::look(&state, upload.id);
    }
    let (html, moving) = file_page(&state, &reader, &caller, upload.id, None).await?;
    let mut response = page(html);
    if moving {
        response.headers_mut().insert("refresh", HeaderValue::from_static("2"));
    }
    Ok(response)
}

/// The page, and whether it will soon say something else.
async fn file_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    id: UploadId,
    wrong: Option<&Refusal>,
) -> Result<(String, bool), Problem> {
    // In this order: work that ends between the two has kept its state before.
    let progress = state.shared.works.find(Subject::File(id));
    let upload = files::find(state, id)?;
    let working = progress.is_some();
    let preview = match upload.stage {
        Stage::Looked | Stage::Writing | Stage::Written => files::find_preview(state, id)?,
        Stage::Receiving | Stage::Received | Stage::Refused => None,
    };
    let (areas, lexicon) = match &preview {
        Some(_) => {
            (state.registry.list_areas(AreaKind::District).await?, Some(city(state).await?.lexicon.clone()))
        }
        None => (Vec::new(), None),
    };
    let profiles = built_in_profiles();
    let saved = state.registry.list_profiles().await?;
    let refusal = upload.refusal.as_ref().map(|refusal| work::sentence(reader.catalogue(), refusal));
    let view = FileView {
        upload: &upload,
        received: files::received(state, id),
        working,
        rows: progress.and_then(|progress| progress.rows()),
        preview: preview.as_ref(),
        areas: &areas,
        lexicon: lexicon.as_deref(),
        profiles: (&profiles, &saved),
        refusal,
        wrong,
    };
    Ok((views::census_file(&reader.page(state, caller.session.as_ref()), &view), working))
}

/// The file is to be read otherwise: looked at once more.
pub(super) async fn look_again(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "profile", "source", "crs", "encoding", "layer", "dates", "full"])?;
    caller.check_csrf(form.field("csrf"))?;
    let mut upload = files::find(&state, files::read_id(&id)?)?;
    if let Err(refusal) = idle(&state, &upload, &[Stage::Looked, Stage::Refused]) {
        return refused(&state, &reader, &caller, upload.id, &refusal).await;
    }
    let owned = |name: &str| form.field(name).map(str::to_owned);
    let before = std::mem::take(&mut upload.wishes);
    let (profile, mapping) = match owned("profile") {
        Some(chosen) if chosen == views::CHANGED_HERE => (before.profile, before.mapping),
        chosen => (chosen, None),
    };
    upload.wishes = Wishes {
        profile,
        source: owned("source"),
        crs: owned("crs"),
        encoding: owned("encoding"),
        layer: owned("layer"),
        dates: owned("dates"),
        full: form.field("full").is_some(),
        mapping,
    };
    begin_look(&state, &reader, upload)
}

/// Looks at a file once more as it is wished now, and goes to its page.
pub(super) fn begin_look(
    state: &AppState,
    reader: &Reader,
    mut upload: CensusUpload,
) -> Result<Response, Problem> {
    (upload.stage, upload.refusal) = (Stage::Received, None);
    upload.language = reader.language.tag().to_owned();
    files::save(state, &upload)?;
    work::look(state, upload.id);
    Ok(to_page(upload.id))
}

/// Refuses a file that is being worked on, or that has come to another state.
pub(super) fn idle(state: &AppState, upload: &CensusUpload, fits: &[Stage]) -> Result<(), Refusal> {
    if state.shared.works.find(Subject::File(upload.id)).is_some() {
        return Err(Refusal::new("upload.busy"));
    }
    if fits.contains(&upload.stage) {
        return Ok(());
    }
    Err(Refusal::new("upload.stage").with("census_stage", upload.stage.as_str()))
}

async fn refused(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    id: UploadId,
    refusal: &Refusal,
) -> Result<Response, Problem> {
    let problem = Problem { status: StatusCode::CONFLICT, refusal: refusal.clone() };
    file_with_problem(state, reader, caller, id, &problem).await
}

/// The page of a file with why what was asked for just now was not done.
pub(super) async fn file_with_problem(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    id: UploadId,
    problem: &Problem,
) -> Result<Response, Problem> {
    let (html, _) = file_page(state, reader, caller, id, Some(&problem.refusal)).await?;
    Ok(page_with_problem(problem.status, html))
}

pub(super) async fn write(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    let upload = files::find(&state, files::read_id(&id)?)?;
    if let Err(refusal) = idle(&state, &upload, &[Stage::Looked, Stage::Writing]) {
        return refused(&state, &reader, &caller, upload.id, &refusal).await;
    }
    let id = upload.id;
    work::write(&state, upload, caller.actor())?;
    Ok(to_page(id))
}

pub(super) async fn discard(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    let upload = files::find(&state, files::read_id(&id)?)?;
    let all =
        [Stage::Receiving, Stage::Received, Stage::Looked, Stage::Refused, Stage::Writing, Stage::Written];
    if let Err(refusal) = idle(&state, &upload, &all) {
        return refused(&state, &reader, &caller, upload.id, &refusal).await;
    }
    files::discard(&state, upload.id)?;
    Ok(Redirect::to("/admin/imports").into_response())
}

/// Every problem of a file, with the columns of `import --problems`.
pub(super) async fn problems(
    State(state): State<AppState>,
    _: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let upload = files::find(&state, files::read_id(&id)?)?;
    download(Place::of(&state, upload.id).problems(), "problems.csv").await
}

/// The bad rows as they stand in the file, to be corrected and handed in by themselves.
pub(super) async fn bad_rows(
    State(state): State<AppState>,
    _: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let upload = files::find(&state, files::read_id(&id)?)?;
    download(Place::of(&state, upload.id).rows(), "rows.csv").await
}

/// A list of ours as it lies on the disk, piece by piece.
async fn download(path: PathBuf, name: &str) -> Result<Response, Problem> {
    let file = match tokio::fs::File::open(&path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Problem::not_found("upload.no_list"));
        }
        Err(error) => return Err(from_io(&error)),
    };
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; 1 << 16];
        let count = file.read(&mut piece).await?;
        piece.truncate(count);
        Ok::<_, std::io::Error>((count > 0).then_some((piece, file)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
