//! 区划与网格: the pages on which outlines are seen, a file of them is handed in, looked at and applied, and
//! manholes are put into the districts in which they lie.

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::extract::multipart::{Field, Multipart};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;

use super::api_areas::read_kind;
use super::ask::{Asked, Named, Nothing, Reader};
use super::auth::Caller;
use super::census_files as files;
use super::census_work::{self as work, Subject};
use super::desk::page;
use super::forms::{Form, needs_multipart, short_text, unreadable};
use super::problem::{from_io, page_with_problem};
use super::views::{self, AreaDeskView, AreaFileView};
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::area::AreaKind;
use crate::domain::ids::{Millis, UploadId};
use crate::import::{AreaColumns, AreaFindings, AreaLook, AreaOrder, City, Told, TypedTold, read_areas};
use crate::registry::{
    AreaPlan, AreaSet, DistrictCheck, ImportMode, Others, RegistryError, StoredRefusal, UserAreasOrder,
};

/// Largest file of outlines, in bytes.
const LARGEST: u64 = 256 << 20;
/// Areas on one page, and problems that are shown of a file.
const AREAS: i64 = 200;
const PROBLEMS: usize = 100;

/// How a person wants a file of outlines to be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AreaWishes {
    pub kind: String,
    pub columns: AreaColumns,
    pub crs: Option<String>,
    pub encoding: Option<String>,
    pub layer: Option<String>,
    /// The file is all there is of its kind.
    pub replace: bool,
}

/// A file of outlines that waits for a word.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AreaFile {
    pub id: UploadId,
    pub name: String,
    pub bytes: u64,
    pub by: String,
    pub at: Millis,
    pub wishes: AreaWishes,
    pub look: AreaFileLook,
}

/// What a look at it found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaFileLook {
    Refused(StoredRefusal),
    Looked {
        found: Box<AreaFindings>,
        areas: usize,
        problems: Vec<AreaProblem>,
        problem_count: usize,
        plan: Box<AreaPlan>,
    },
}

/// A feature that is no area.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AreaProblem {
    pub line: Option<u64>,
    pub read: String,
    pub refusal: StoredRefusal,
}

/// How the last look at the districts of all manholes ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assigned {
    pub by: String,
    pub at: Millis,
    pub check: Option<DistrictCheck>,
    pub refusal: Option<StoredRefusal>,
}

fn shelf(state: &AppState) -> PathBuf {
    state.data.join("incoming").join("areas")
}

fn folder(state: &AppState, id: UploadId) -> PathBuf {
    shelf(state).join(id.to_string())
}

fn save(state: &AppState, file: &AreaFile) -> Result<(), Problem> {
    files::put(&folder(state, file.id).join("about.json"), file)
}

fn find(state: &AppState, id: &str) -> Result<AreaFile, Problem> {
    let id = files::read_id(id)?;
    let about = files::take(&folder(state, id).join("about.json"))?;
    about.ok_or_else(|| Problem::not_found("upload.unknown"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeskQuery {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    after: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Asked(query): Asked<DeskQuery>,
) -> Result<Response, Problem> {
    let kind = read_kind(&query.kind).map_err(Problem::bad_request)?;
    if query.after.contains('\0') {
        return Err(Problem::bad_request(Refusal::new("http.query").with("reason", "after")));
    }
    let (html, moving) = desk_page(&state, &reader, &caller, (kind, &query.after), None).await?;
    let mut response = page(html);
    if moving {
        response.headers_mut().insert("refresh", HeaderValue::from_static("2"));
    }
    Ok(response)
}

/// Clears away files of outlines to which nobody came back.
fn clear_old(state: &AppState) -> Result<(), Problem> {
    let Ok(entries) = std::fs::read_dir(shelf(state)) else { return Ok(()) };
    for entry in entries.flatten() {
        let about: Option<AreaFile> = files::take(&entry.path().join("about.json")).unwrap_or_default();
        if about.is_some_and(|file| files::is_old(state, file.at)) {
            std::fs::remove_dir_all(entry.path()).map_err(|error| from_io(&error))?;
        }
    }
    Ok(())
}

/// The page, and whether it will soon say something else.
async fn desk_page(
    state: &AppState,
    reader: &Reader,
    caller: &Caller,
    (kind, after): (AreaKind, &str),
    wrong: Option<&Refusal>,
) -> Result<(String, bool), Problem> {
    clear_old(state)?;
    let progress = state.shared.works.find(Subject::Districts);
    let areas = state.registry.list_area_page(kind, after, AREAS).await?;
    let counts = counts(state, kind).await?;
    let assigned: Option<Assigned> = files::take(&shelf(state).join("assigned.json"))?;
    let working = progress.is_some();
    let people = state.registry.list_area_people(kind).await?;
    let workers = state.registry.list_grid_workers().await?;
    let view = AreaDeskView {
        kind,
        areas: &areas,
        people: &people,
        workers: &workers,
        counts: &counts,
        next: areas.last().filter(|_| areas.len() as i64 == AREAS).map(|area| area.code.as_str()),
        assigned: assigned.as_ref(),
        working,
        rows: progress.and_then(|progress| progress.rows()),
        wrong,
    };
    Ok((views::area_desk(&reader.page(state, caller.session.as_ref()), &view), working))
}

/// Covers of each area: of a district by their files, of the others by where they lie.
async fn counts(state: &AppState, kind: AreaKind) -> Result<BTreeMap<String, i64>, Problem> {
    if kind == AreaKind::District {
        return Ok(state.registry.count_by_district().await?);
    }
    let index = state.registry.area_index(kind).await?;
    let snapshot = state.snapshot.load();
    let count = move || {
        let (mut locator, mut counts) = (index.into_locator(), BTreeMap::new());
        for row in snapshot.rows() {
            if let Some(code) = locator.find(row.lon, row.lat) {
                match counts.get_mut(code) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(code.to_owned(), 1)),
                }
            }
        }
        counts
    };
    tokio::task::spawn_blocking(count).await.map_err(|_| Refusal::new("area.not_weighed").into())
}

/// Keeps a file as it comes, looks at it and goes on to its page.
pub(super) async fn send(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    mut request: Request,
) -> Result<Response, Problem> {
    needs_multipart(request.headers())?;
    DefaultBodyLimit::disable().apply(&mut request);
    match receive(&state, &caller, request).await {
        Ok(id) => Ok(to_page(id)),
        Err(problem) if matches!(problem.status.as_u16(), 413 | 422) => {
            let shown = (AreaKind::District, "");
            let (html, _) = desk_page(&state, &reader, &caller, shown, Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

fn to_page(id: UploadId) -> Response {
    Redirect::to(&format!("/admin/areas/files/{id}")).into_response()
}

async fn receive(state: &AppState, caller: &Caller, request: Request) -> Result<UploadId, Problem> {
    let broken = |_| Problem::bad_request(Refusal::new("form.unreadable"));
    let mut form = Multipart::from_request(request, state).await.map_err(broken)?;
    let mut allowed = caller.session.is_none();
    let mut fields = BTreeMap::new();
    while let Some(part) = form.next_field().await.map_err(unreadable)? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            // The form sends its token before the file, so that nobody else's fills the disk.
            if !allowed {
                caller.check_csrf(None)?;
            }
            let wishes = read_wishes(&fields)?;
            return keep(state, caller, part, wishes).await;
        }
        let text = short_text(part, &name).await?;
        if name == "csrf" {
            caller.check_csrf(Some(&text))?;
            allowed = true;
        } else {
            fields.insert(name, text);
        }
    }
    Err(Refusal::new("upload.no_file").at("file").into())
}

const FIELDS: [&str; 10] =
    ["kind", "code", "name", "name_en", "code_prefix", "code_length", "crs", "encoding", "layer", "replace"];

fn read_wishes(fields: &BTreeMap<String, String>) -> Result<AreaWishes, Problem> {
    if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let read: String = name.chars().take(60).collect();
        return Err(Problem::bad_request(Refusal::new("form.unknown_field").with("field", read)));
    }
    let said =
        |name: &str| fields.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let length = match said("code_length") {
        None => 0,
        Some(text) => text.parse::<usize>().ok().filter(|length| *length <= 40).ok_or_else(|| {
            let refusal = Refusal::new("form.whole_number").at("code_length").with("field", "code_length");
            Problem::from(refusal.with("read", text))
        })?,
    };
    Ok(AreaWishes {
        kind: read_kind(&said("kind").unwrap_or_default())?.to_string(),
        columns: AreaColumns {
            code: said("code"),
            name: said("name"),
            name_en: said("name_en"),
            code_prefix: said("code_prefix").unwrap_or_default(),
            code_length: length,
        },
        crs: said("crs"),
        encoding: said("encoding"),
        layer: said("layer"),
        replace: said("replace").is_some(),
    })
}

async fn keep(
    state: &AppState,
    caller: &Caller,
    mut part: Field<'_>,
    wishes: AreaWishes,
) -> Result<UploadId, Problem> {
    let id = UploadId::fresh();
    let place = folder(state, id);
    std::fs::create_dir_all(&place).map_err(|error| from_io(&error))?;
    let name = files::plain_name(part.file_name().unwrap_or_default());
    let mut bytes = 0;
    let received = async {
        let mut body = tokio::fs::File::create(place.join("body")).await.map_err(|error| from_io(&error))?;
        while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
            bytes += chunk.len() as u64;
            if bytes > LARGEST {
                let refusal = Refusal::new("area.too_large").at("file").with("most_mb", LARGEST >> 20);
                return Err(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, refusal });
            }
            body.write_all(&chunk).await.map_err(|error| from_io(&error))?;
        }
        body.flush().await.map_err(|error| from_io(&error))?;
        if bytes == 0 {
            return Err(Refusal::new("upload.no_file").at("file").into());
        }
        Ok(())
    };
    let kept = match received.await {
        Ok(()) => {
            let look = look_at(state, id, &name, &wishes).await?;
            let (by, at) = (caller.user.name.clone(), state.registry.now());
            save(state, &AreaFile { id, name, bytes, by, at, wishes, look })
        }
        Err(problem) => Err(problem),
    };
    if let Err(problem) = kept {
        std::fs::remove_dir_all(&place).map_err(|error| from_io(&error))?;
        return Err(problem);
    }
    Ok(id)
}

/// Reads the outlines of a kept file; those that have no one meaning are problems.
async fn read(
    state: &AppState,
    id: UploadId,
    name: &str,
    wishes: &AreaWishes,
) -> Result<(AreaSet, AreaLook, Vec<AreaProblem>), Problem> {
    let kind: AreaKind = wishes.kind.parse()?;
    let (encoding, layer) = (wishes.encoding.as_deref(), wishes.layer.as_deref());
    let order = AreaOrder {
        kind,
        columns: wishes.columns.clone(),
        told: Told::parse(TypedTold { encoding, layer, ..TypedTold::default() })?,
        crs: wishes.crs.clone(),
        book: City::read(&state.data)?.book,
    };
    let (path, name) = (folder(state, id).join("body"), name.to_owned());
    let reading = tokio::task::spawn_blocking(move || read_areas(&path, &name, &order));
    let mut look = reading.await.map_err(|_| Refusal::new("import.reader_stopped"))??;
    let (areas, flawed) = state.registry.check_outlines(std::mem::take(&mut look.areas)).await?;
    let problem = |line, read: &str, refusal: &Refusal| AreaProblem {
        line,
        read: read.to_owned(),
        refusal: refusal.into(),
    };
    let mut problems: Vec<AreaProblem> =
        look.problems.iter().map(|found| problem(Some(found.line), &found.read, &found.refusal)).collect();
    problems.extend(flawed.iter().map(|(area, refusal)| problem(None, &area.code, refusal)));
    let others = if wishes.replace { Others::Remove } else { Others::Keep };
    Ok((AreaSet { kind, areas, others }, look, problems))
}

async fn look_at(
    state: &AppState,
    id: UploadId,
    name: &str,
    wishes: &AreaWishes,
) -> Result<AreaFileLook, Problem> {
    let _slot = state.shared.heavy_slots.acquire().await;
    let looked = async {
        let (set, look, mut problems) = read(state, id, name, wishes).await?;
        let plan = Box::new(state.registry.plan_areas(&set).await?);
        let problem_count = problems.len();
        problems.truncate(PROBLEMS);
        let found = Box::new(look.found);
        Ok::<_, Problem>(AreaFileLook::Looked {
            found,
            areas: set.areas.len(),
            problems,
            problem_count,
            plan,
        })
    };
    match looked.await {
        Ok(look) => Ok(look),
        Err(problem) if problem.status.is_client_error() => {
            Ok(AreaFileLook::Refused((&problem.refusal).into()))
        }
        Err(problem) => Err(problem),
    }
}

pub(super) async fn show_file(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
) -> Result<Response, Problem> {
    let file = find(&state, &id)?;
    let view = AreaFileView { file: &file, wrong: None };
    Ok(page(views::area_file(&reader.page(&state, caller.session.as_ref()), &view)))
}

/// The file is to be read otherwise.
pub(super) async fn look_again(
    State(state): State<AppState>,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    let known: Vec<&str> = FIELDS.iter().chain(&["csrf"]).copied().collect();
    form.only(&known)?;
    caller.check_csrf(form.field("csrf"))?;
    let mut file = find(&state, &id)?;
    let said = form.beginning("").filter(|(name, _)| *name != "csrf");
    file.wishes = read_wishes(&said.map(|(name, text)| (name.to_owned(), text.to_owned())).collect())?;
    file.look = look_at(&state, file.id, &file.name, &file.wishes).await?;
    save(&state, &file)?;
    Ok(to_page(file.id))
}

/// Makes the outlines of a file known. The file is read again: what is applied is what lies there.
pub(super) async fn apply(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "assign"])?;
    caller.check_csrf(form.field("csrf"))?;
    let file = find(&state, &id)?;
    let applied = async {
        if !matches!(&file.look, AreaFileLook::Looked { problem_count: 0, .. }) {
            return Err(Problem::from(RegistryError::Conflict(Refusal::new("area.not_sound"))));
        }
        let (set, _, problems) = read(&state, file.id, &file.name, &file.wishes).await?;
        if !problems.is_empty() {
            return Err(Problem::from(RegistryError::Conflict(Refusal::new("area.not_sound"))));
        }
        Ok(state.registry.set_areas(set).await?)
    };
    match applied.await {
        Ok(()) => {
            let kind = &file.wishes.kind;
            std::fs::remove_dir_all(folder(&state, file.id)).map_err(|error| from_io(&error))?;
            if form.field("assign").is_some() {
                begin_assigning(&state, &caller);
            }
            Ok(Redirect::to(&format!("/admin/areas?kind={kind}")).into_response())
        }
        Err(problem) if problem.status.is_client_error() => {
            let view = AreaFileView { file: &file, wrong: Some(&problem.refusal) };
            let html = views::area_file(&reader.page(&state, caller.session.as_ref()), &view);
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

pub(super) async fn discard(
    State(state): State<AppState>,
    caller: Caller,
    Named(id): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    let file = find(&state, &id)?;
    std::fs::remove_dir_all(folder(&state, file.id)).map_err(|error| from_io(&error))?;
    Ok(Redirect::to("/admin/areas").into_response())
}

/// Says for which areas of a kind a grid worker answers.
pub(super) async fn set_people(
    State(state): State<AppState>,
    reader: Reader,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf", "kind", "login", "codes"])?;
    caller.check_csrf(form.field("csrf"))?;
    let kind = read_kind(form.field("kind").unwrap_or_default())?;
    let codes = form.field("codes").unwrap_or_default();
    let codes = codes.split(|c: char| c.is_whitespace() || ",，、;；".contains(c));
    let set = match form.needed("login") {
        Ok(login) => {
            let order = UserAreasOrder {
                login: login.to_owned(),
                kind,
                codes: codes.filter(|code| !code.is_empty()).map(str::to_owned).collect(),
                actor: caller.actor(),
            };
            state.registry.set_user_areas(order).await.map_err(Problem::from)
        }
        Err(refusal) => Err(refusal.into()),
    };
    match set {
        Ok(()) => Ok(Redirect::to(&format!("/admin/areas?kind={kind}")).into_response()),
        Err(problem) if problem.status.is_client_error() => {
            let (html, _) = desk_page(&state, &reader, &caller, (kind, ""), Some(&problem.refusal)).await?;
            Ok(page_with_problem(problem.status, html))
        }
        Err(problem) => Err(problem),
    }
}

/// Puts every manhole into the district in which it lies.
pub(super) async fn assign(
    State(state): State<AppState>,
    caller: Caller,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let form = Form::from_request(request, &state).await?;
    form.only(&["csrf"])?;
    caller.check_csrf(form.field("csrf"))?;
    begin_assigning(&state, &caller);
    Ok(Redirect::to("/admin/areas").into_response())
}

fn begin_assigning(state: &AppState, caller: &Caller) {
    let (by, actor) = (caller.user.name.clone(), caller.actor());
    work::start(state, Subject::Districts, move |state, progress| async move {
        let seen = |rows| progress.set_rows(rows);
        let ended = state.registry.check_districts(ImportMode::Write, &actor, seen).await;
        let (check, refusal) = match ended {
            Ok(check) => (Some(check), None),
            Err(error) => (None, Some((&Problem::from(error).refusal).into())),
        };
        let assigned = Assigned { by, at: state.registry.now(), check, refusal };
        let kept = std::fs::create_dir_all(shelf(&state)).map_err(|error| from_io(&error));
        if let Err(problem) = kept.and_then(|()| files::put(&shelf(&state).join("assigned.json"), &assigned))
        {
            tracing::error!(code = problem.refusal.code, "how the districts were assigned was not kept");
        }
    });
}
