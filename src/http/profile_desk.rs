//! 导入方案: pages on which profiles are seen, saved after a look at what changes, and offered no more.

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};

use super::api_profiles::city;
use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::{Caller, percent_encode};
use super::census_files as files;
use super::desk::page;
use super::edit_page::Lists;
use super::forms::Form;
use super::import_desk;
use super::problem::page_with_problem;
use super::views::{self, ProfileDraft, ProfileListView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::import_profile::{ProfileName, ProfileRef, SavedProfile, TEXT_LIMIT};
use crate::import::{ProfileChange, built_in_profiles, change_profile, find_built_in};
use crate::intake;
use crate::registry::{ProfileOrder, RegistryError};

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    Ok(page(list_page(&state, &reader, &caller, &ProfileDraft::default(), None).await?))
}

async fn list_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    draft: &ProfileDraft,
    wrong: Option<&Refusal>,
) -> Result<String, Problem> {
    let (saved, built_in) = (state.registry.list_profiles().await?, built_in_profiles());
    let lists = Lists::read(state).await?;
    let view = ProfileListView { saved: &saved, built_in: &built_in, names: lists.names(), draft, wrong };
    Ok(views::profile_list(&reader.page(state, caller.session.as_ref()), &view))
}

pub(super) async fn show_profile(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(name): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let versions = state.registry.list_profile_versions(&name.parse::<ProfileName>()?).await?;
    let lists = Lists::read(&state).await?;
    let reading = reader.page(&state, caller.session.as_ref());
    Ok(page(views::profile_versions(&reading, &versions, lists.names())))
}

/// The text of a profile, `NAME` or `NAME@VERSION`, as a file.
pub(super) async fn download(
    State(state): State<AppState>,
    Named(name): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let text = match find_built_in(&name) {
        Some(profile) => profile.text.to_string(),
        None => state.registry.find_profile(&name.parse::<ProfileRef>()?).await?.text,
    };
    let file =
        format!("attachment; filename=\"profile.toml\"; filename*=UTF-8''{}.toml", percent_encode(&name));
    let headers = [
        (header::CONTENT_TYPE, "application/toml; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, file),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, text).into_response())
}

/// Shows what a version would change; saves it once that was seen.
pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::with_texts(request, &state, &["text", "file"], TEXT_LIMIT * 4).await?;
    form.only(&["csrf", "name", "why", "text", "file", "seen"])?;
    caller.check_csrf(form.field("csrf"))?;
    let said = |name: &str| form.field(name).unwrap_or_default().to_owned();
    let text = form.field("file").or_else(|| form.field("text")).unwrap_or_default().to_owned();
    let draft = ProfileDraft { name: said("name"), why: said("why"), text };
    let seen = form.field("seen").and_then(|seen| seen.parse::<i64>().ok());
    match look_or_save(&state, &reader, &caller, draft.clone(), seen, None).await {
        Err(problem) if matches!(problem.status.as_u16(), 409 | 422) => {
            let html = list_page(&state, &reader, &caller, &draft, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        answer => answer,
    }
}

/// The newest version of a name, also of one that is offered no more.
async fn newest(state: &AppState, name: &ProfileName) -> Result<Option<SavedProfile>, Problem> {
    match state.registry.list_profile_versions(name).await {
        Ok(versions) => Ok(versions.into_iter().next()),
        Err(RegistryError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn look_or_save(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    draft: ProfileDraft,
    seen: Option<i64>,
    file: Option<String>,
) -> Result<Response, Problem> {
    let name: ProfileName = draft.name.parse()?;
    if draft.text.is_empty() {
        return Err(Refusal::new("form.missing").at("text").with("field", "text").into());
    }
    let city = city(state).await?;
    let text = intake::text_to_save(&city, &name, &draft.text)?;
    let newest = newest(state, &name).await?;
    if seen != Some(newest.as_ref().map_or(0, |newest| newest.version)) {
        let draft = ProfileDraft { name: name.to_string(), text, ..draft };
        let mut reading = reader.page(state, caller.session.as_ref());
        if let Some(file) = &file {
            // Another language is asked for by GET, which this address does not have.
            reading.path = file;
        }
        return Ok(page(views::profile_look(&reading, &draft, newest.as_ref(), file.as_deref())));
    }
    let order = ProfileOrder { name: name.clone(), text, why: draft.why };
    state.registry.save_profile(order, &caller.actor()).await?;
    Ok(to_profile(&name))
}

fn to_profile(name: &ProfileName) -> Response {
    Redirect::to(&format!("/admin/import-profiles/{}", percent_encode(name.as_str()))).into_response()
}

pub(super) async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    Named(name): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::with_texts(request, &state, &[], 0).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    state.registry.remove_profile(&name.parse()?).await?;
    Ok(Redirect::to("/admin/import-profiles").into_response())
}

/// The mapping by which a file was read becomes a version of a name, after a look.
pub(super) async fn save_mapping(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::with_texts(request, &state, &[], 0).await?;
    form.only(&["csrf", "name", "why"])?;
    caller.check_csrf(form.field("csrf"))?;
    let upload = files::find(&state, files::read_id(&id)?)?;
    let said = |name: &str| form.field(name).unwrap_or_default().to_owned();
    let looked = async {
        let preview = files::need_preview(&state, &upload)?;
        let used = preview.profile_with_text()?;
        // What was said beside the profile is part of how the file was read.
        let change = ProfileChange {
            source: upload.wishes.source.clone(),
            epsg: upload.wishes.crs.as_deref().and_then(epsg),
            ..ProfileChange::default()
        };
        let text = match change == ProfileChange::default() {
            true => used.text.clone(),
            false => change_profile(&used.text, &change, &city(&state).await?.lexicon)?,
        };
        let draft = ProfileDraft { name: said("name"), why: said("why"), text };
        let file = Some(format!("/admin/imports/files/{}", upload.id));
        look_or_save(&state, &reader, &caller, draft, None, file).await
    };
    match looked.await {
        Err(problem) if problem.status.as_u16() == 422 => {
            import_desk::file_with_problem(&state, &reader, &caller, upload.id, &problem).await
        }
        answer => answer,
    }
}

/// The number of `EPSG:4546`.
fn epsg(text: &str) -> Option<u32> {
    let text = text.trim();
    let number =
        text.get(..5).filter(|start| start.eq_ignore_ascii_case("epsg:")).map_or(text, |_| &text[5..]);
    number.parse().ok()
}
