//! Census files that wait at the desk: each is a folder under `incoming/desk` with the bytes, with what is
//! known of it, and with what a look at it found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::census_work::Subject;
use super::problem::from_io;
use super::{AppState, Problem};
use crate::domain::Refusal;
use crate::domain::ids::{Millis, UploadId};
use crate::domain::import_run::ImportNumber;
use crate::import::{ColumnLook, ColumnNote};
use crate::intake::Noted;
use crate::registry::{ImportSummary, StoredRefusal};

/// How a person wants a file to be read; `None` = as it is found, or as the profile says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wishes {
    pub profile: Option<String>,
    pub source: Option<String>,
    pub crs: Option<String>,
    pub encoding: Option<String>,
    pub layer: Option<String>,
    /// Which of day and month comes first, where both could.
    #[serde(default)]
    pub dates: Option<String>,
    /// Text of the profile as it was changed column by column for this file; goes before `profile`.
    #[serde(default)]
    pub mapping: Option<String>,
    /// The file is all there is in the districts and of the classes that it names.
    pub full: bool,
}

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Some of its bytes are still on the way.
    Receiving,
    /// To be looked at.
    Received,
    /// Looked at; waits for a word.
    Looked,
    /// It cannot be read as wished.
    Refused,
    /// Being written, or the writing was broken off; it goes on where it stopped.
    Writing,
    Written,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Received => "received",
            Self::Looked => "looked",
            Self::Refused => "refused",
            Self::Writing => "writing",
            Self::Written => "written",
        }
    }
}

/// A file and what is known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CensusUpload {
    pub id: UploadId,
    /// As the sender calls it, without folders.
    pub name: String,
    pub bytes: u64,
    /// Who sent it.
    pub by: String,
    pub at: Millis,
    /// Tag of the language in which its problems are listed.
    pub language: String,
    pub wishes: Wishes,
    pub stage: Stage,
    /// Why it could not be read, or not be written to its end.
    pub refusal: Option<StoredRefusal>,
    /// Of the run that wrote it.
    pub number: Option<ImportNumber>,
}

/// What a look at a file found. Nothing of it is in the registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Preview {
    /// What was understood, in sentences by the tag of their language.
    pub understood: BTreeMap<String, Vec<String>>,
    /// The reference system, where one was decided on for the whole file, and what speaks for it.
    pub crs: Option<String>,
    pub evidence: BTreeMap<String, Vec<String>>,
    pub columns: Vec<ColumnLook>,
    /// What else speaks for the profile, where it was proposed.
    #[serde(default)]
    pub notes: Vec<ColumnNote>,
    /// The profile by which it was read.
    #[serde(default)]
    pub profile: Option<ProfileUsed>,
    /// Name of the source that its rows go under.
    #[serde(default)]
    pub source: String,
    pub summary: ImportSummary,
    pub noted: Noted,
    /// Texts of the rows of twins, by line.
    pub twin_texts: BTreeMap<u64, String>,
    /// Longitude and latitude of some rows.
    pub points: Vec<[f64; 2]>,
    /// Bad rows that can be had as a table, to be corrected.
    pub to_correct: u64,
    /// Code and name of districts that the profile brings and the registry does not know; writing adds them.
    #[serde(default)]
    pub new_districts: Vec<(String, String)>,
}

impl Preview {
    /// The profile by which a file was read, with its text. Refuses a preview that did not keep it.
    pub fn profile_with_text(&self) -> Result<&ProfileUsed, Refusal> {
        let used = self.profile.as_ref().filter(|used| !used.text.is_empty());
        used.ok_or_else(|| Refusal::new("upload.stage").with("census_stage", Stage::Looked.as_str()))
    }
}

/// What a look at a file found; refuses a file that has not come so far.
pub fn need_preview(state: &AppState, upload: &CensusUpload) -> Result<Preview, Problem> {
    let stage = || Refusal::new("upload.stage").with("census_stage", upload.stage.as_str());
    Ok(find_preview(state, upload.id)?.ok_or_else(stage)?)
}

/// A profile as a look used it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProfileUsed {
    pub name: String,
    pub version: u32,
    /// TOML; of a proposal what was proposed.
    #[serde(default)]
    pub text: String,
}

/// The files of one file.
pub struct Place {
    folder: PathBuf,
}

impl Place {
    pub fn of(state: &AppState, id: UploadId) -> Self {
        Self { folder: shelf(state).join(id.to_string()) }
    }

    /// The bytes as they came.
    pub fn body(&self) -> PathBuf {
        self.folder.join("body")
    }

    pub fn problems(&self) -> PathBuf {
        self.folder.join("problems.csv")
    }

    pub fn rows(&self) -> PathBuf {
        self.folder.join("rows.csv")
    }

    fn about(&self) -> PathBuf {
        self.folder.join("about.json")
    }

    fn looked(&self) -> PathBuf {
        self.folder.join("preview.json")
    }
}

fn shelf(state: &AppState) -> PathBuf {
    state.data.join("incoming").join("desk")
}

/// Largest file, in bytes.
pub(super) fn largest(state: &AppState) -> u64 {
    state.config.census_megabytes.saturating_mul(1 << 20)
}

/// Refuses a file that is larger than the desk takes.
pub(super) fn check_size(state: &AppState, bytes: u64) -> Result<(), Problem> {
    if bytes <= largest(state) {
        return Ok(());
    }
    let refusal = Refusal::new("upload.too_large").at("file").with("most", state.config.census_megabytes);
    Err(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, refusal })
}

/// A name without folders and signs that no list should show.
pub(super) fn plain_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
    if name.trim().is_empty() { "census".to_owned() } else { name.trim().to_owned() }
}

pub(super) fn read_id(text: &str) -> Result<UploadId, Problem> {
    text.parse().map_err(|_| Problem::not_found("upload.unknown"))
}

/// Makes room for a file.
pub(super) fn begin(state: &AppState, upload: &CensusUpload) -> Result<Place, Problem> {
    let place = Place::of(state, upload.id);
    std::fs::create_dir_all(&place.folder).map_err(|error| from_io(&error))?;
    save(state, upload)?;
    Ok(place)
}

pub(super) fn save(state: &AppState, upload: &CensusUpload) -> Result<(), Problem> {
    put(&Place::of(state, upload.id).about(), upload)
}

pub(super) fn save_preview(state: &AppState, id: UploadId, preview: &Preview) -> Result<(), Problem> {
    put(&Place::of(state, id).looked(), preview)
}

/// Whole or not at all, so that nobody reads half of it.
pub(super) fn put(path: &Path, value: &impl Serialize) -> Result<(), Problem> {
    let text = serde_json::to_vec(value).expect("texts and numbers are always JSON");
    let beside = path.with_extension("new");
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| from_io(&error))
}

pub(super) fn take<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Problem> {
    match std::fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(from_io(&error)),
    }
}

pub(super) fn find(state: &AppState, id: UploadId) -> Result<CensusUpload, Problem> {
    take(&Place::of(state, id).about())?.ok_or_else(|| Problem::not_found("upload.unknown"))
}

pub(super) fn find_preview(state: &AppState, id: UploadId) -> Result<Option<Preview>, Problem> {
    take(&Place::of(state, id).looked())
}

/// What waits, the newest first.
pub(super) fn list(state: &AppState) -> Result<Vec<CensusUpload>, Problem> {
    let entries = match std::fs::read_dir(shelf(state)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(from_io(&error)),
    };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<UploadId>().ok());
    let mut uploads: Vec<CensusUpload> = ids.filter_map(|id| find(state, id).ok()).collect();
    uploads.sort_by_key(|upload| std::cmp::Reverse(upload.id));
    Ok(uploads)
}

/// Whether something that has waited since then is to be cleared away.
pub(super) fn is_old(state: &AppState, since: Millis) -> bool {
    let days = i64::from(state.config.waiting_days);
    days > 0 && state.registry.now().0 - since.0 > days * 24 * 3600 * 1000
}

/// Clears away what has waited too long: never what is worked on, nor what was begun to be written.
pub(super) fn clear_old(state: &AppState) -> Result<(), Problem> {
    for upload in list(state)? {
        let busy =
            upload.stage == Stage::Writing || state.shared.works.find(Subject::File(upload.id)).is_some();
        if !busy && is_old(state, upload.at) {
            tracing::info!(upload.id = %upload.id, "a census file that nobody came back to is cleared away");
            discard(state, upload.id)?;
        }
    }
    Ok(())
}

/// Bytes of it that are here.
pub(super) fn received(state: &AppState, id: UploadId) -> u64 {
    std::fs::metadata(Place::of(state, id).body()).map_or(0, |body| body.len())
}

pub(super) fn discard(state: &AppState, id: UploadId) -> Result<(), Problem> {
    std::fs::remove_dir_all(Place::of(state, id).folder).map_err(|error| from_io(&error))
}

/// Frees the room of what is in the registry now.
pub(super) fn discard_body(state: &AppState, id: UploadId) {
    if let Err(error) = std::fs::remove_file(Place::of(state, id).body()) {
        tracing::warn!(%error, "a census file that was written stays behind");
    }
}
