//! What the server does for the import desk while nobody waits for it: looks at a file, writes it, takes a
//! run back. One at a time, with all other heavy work; pages ask how far it has come.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::census_files::{self as files, CensusUpload, Place, Preview, ProfileUsed, Stage};
use super::problem::from_io;
use super::{AppState, Problem, views};
use crate::domain::Refusal;
use crate::domain::cover::District;
use crate::domain::ids::{BatchId, UploadId};
use crate::domain::import_run::ImportNumber;
use crate::domain::role::Actor;
use crate::import::{AUTO, Coordinates, Findings, Format, Look, Profile, Told, TypedTold, find_built_in};
use crate::intake::{
    self, Body, Dots, FileAt, FileRows, IntakeFile, Notebook, Noted, Prepared, Reading, Trouble, Wish,
    write_rows,
};
use crate::messages::{Catalogue, Language};
use crate::registry::{
    ImportMode, ImportOptions, ImportSummary, MATCH_RADIUS_M, RegistryError, StoredRefusal,
};

/// What is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    File(UploadId),
    Run(ImportNumber),
    /// Which district each manhole lies in.
    Districts,
    /// An order of plates.
    Batch(BatchId),
}

/// How far a piece of work has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    begun: AtomicBool,
    rows: AtomicU64,
}

impl Progress {
    pub(super) fn set_rows(&self, rows: u64) {
        self.rows.store(rows, Ordering::Relaxed);
    }

    /// Rows so far; `None` = other work goes first.
    pub(super) fn rows(&self) -> Option<u64> {
        self.begun.load(Ordering::Relaxed).then(|| self.rows.load(Ordering::Relaxed))
    }
}

/// What is being worked on.
#[derive(Default)]
pub(super) struct Works {
    running: Mutex<HashMap<Subject, Arc<Progress>>>,
}

impl Works {
    pub(super) fn find(&self, subject: Subject) -> Option<Arc<Progress>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).get(&subject).cloned()
    }

    /// `None` = it is being worked on already.
    fn begin(&self, subject: Subject) -> Option<Arc<Progress>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains_key(&subject) {
            return None;
        }
        let progress = Arc::new(Progress::default());
        running.insert(subject, progress.clone());
        Some(progress)
    }

    fn end(&self, subject: Subject) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&subject);
    }
}

/// Ends the work in the list, also where it stops in the middle.
struct Ended {
    state: AppState,
    subject: Subject,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.state.shared.works.end(self.subject);
    }
}

/// Starts work unless it is under way. Answers whether it was started.
pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
    state: &AppState,
    subject: Subject,
    work: impl FnOnce(AppState, Arc<Progress>) -> F,
) -> bool {
    let Some(progress) = state.shared.works.begin(subject) else { return false };
    let ended = Ended { state: state.clone(), subject };
    let working = work(state.clone(), progress.clone());
    tokio::spawn(async move {
        let state = ended.state.clone();
        let _slot = state.shared.heavy_slots.acquire().await;
        progress.begun.store(true, Ordering::Relaxed);
        working.await;
        drop(ended);
    });
    true
}

/// Looks at a file: all that writing it would do, without a row being written.
pub(super) fn look(state: &AppState, id: UploadId) {
    start(state, Subject::File(id), move |state, progress| async move {
        let Ok(mut upload) = files::find(&state, id) else { return };
        match look_at(&state, &upload, &progress).await {
            Ok(preview) => {
                if let Err(problem) = files::save_preview(&state, id, &preview) {
                    tracing::error!(code = problem.refusal.code, "a preview was not kept");
                }
                // What was shown is what is written, also where somebody saves a newer version meanwhile.
                if let Some(used) = &preview.profile
                    && upload.wishes.profile.as_ref() == Some(&used.name)
                    && find_built_in(&used.name).is_none()
                {
                    upload.wishes.profile = Some(format!("{}@{}", used.name, used.version));
                }
                (upload.stage, upload.refusal) = (Stage::Looked, None);
            }
            Err(problem) => {
                (upload.stage, upload.refusal) = (Stage::Refused, Some((&problem.refusal).into()));
            }
        }
        keep(&state, &upload);
    });
}

/// Writes a file that was looked at. Goes on where an earlier try stopped.
pub(super) fn write(state: &AppState, upload: CensusUpload, actor: Actor) -> Result<(), Problem> {
    let writing = CensusUpload { stage: Stage::Writing, refusal: None, ..upload };
    files::save(state, &writing)?;
    let id = writing.id;
    start(state, Subject::File(id), move |state, progress| async move {
        let mut upload = writing;
        match write_all(&state, &upload, actor, &progress).await {
            Ok((number, summary, noted)) => {
                (upload.stage, upload.number) = (Stage::Written, number);
                if let Ok(Some(preview)) = files::find_preview(&state, id) {
                    let preview = Preview { summary, noted: noted.unwrap_or(preview.noted), ..preview };
                    if let Err(problem) = files::save_preview(&state, id, &preview) {
                        tracing::error!(code = problem.refusal.code, "the counts of a file were not kept");
                    }
                }
                files::discard_body(&state, id);
            }
            Err(problem) => upload.refusal = Some((&problem.refusal).into()),
        }
        keep(&state, &upload);
    });
    Ok(())
}

/// Takes a run back.
pub(super) fn roll_back(state: &AppState, number: ImportNumber, actor: Actor) {
    start(state, Subject::Run(number), move |state, _| async move {
        if let Err(error) = state.registry.roll_back_import(number, &actor).await {
            tracing::error!(import.number = number.0, error = ?error, "an import was not taken back");
        }
    });
}

fn keep(state: &AppState, upload: &CensusUpload) {
    if let Err(problem) = files::save(state, upload) {
        tracing::error!(code = problem.refusal.code, "the state of a census file was not kept");
    }
}

/// A file, ready to be read as it is wished.
struct Ready {
    name: String,
    format: Format,
    place: Place,
    reading: Reading,
    look: Look,
    options: ImportOptions,
    catalogue: &'static Catalogue,
    prepared: Prepared,
    files: [FileAt; 1],
}

async fn make_ready(state: &AppState, upload: &CensusUpload, actor: Actor) -> Result<Ready, Problem> {
    let wishes = &upload.wishes;
    let told = Told::parse(TypedTold {
        encoding: wishes.encoding.as_deref(),
        layer: wishes.layer.as_deref(),
        dates: wishes.dates.as_deref(),
        ..TypedTold::default()
    })?;
    let place = Place::of(state, upload.id);
    let format = Format::of_file(&place.body(), &upload.name)?;
    let wish = Wish {
        source: wishes.source.clone(),
        scheme: None,
        crs: wishes.crs.clone(),
        told,
        city_scheme: state.config.scheme.clone(),
        match_radius_m: MATCH_RADIUS_M,
        full: wishes.full,
    };
    let registry = Some(&state.registry);
    let city = Arc::new(
        intake::city_of(registry, &state.data, &state.config.scheme, state.config.utc_offset_minutes).await?,
    );
    let files = [FileAt { path: place.body(), name: upload.name.clone(), format }];
    let schemes = state.registry.schemes();
    let prepared = match &wishes.mapping {
        Some(text) => {
            intake::prepare(Profile::from_toml_in(text, &city)?, schemes, &wish, &files, &actor).await?
        }
        None => {
            let by_name = (wishes.profile.as_deref().unwrap_or(AUTO), schemes);
            intake::prepare_by_name(registry, &city, by_name, &wish, &files, &actor).await?
        }
    };
    let language = Language::of_tag(&upload.language).unwrap_or_default();
    let (name, catalogue) = (upload.name.clone(), Catalogue::of(language));
    let look = prepared.looks.first().cloned().ok_or_else(|| Refusal::new("import.reader_stopped"))?;
    let reading = Reading { profile: look.profile.clone(), ..prepared.reading.clone() };
    let options = prepared.options.clone();
    Ok(Ready { name, format, place, reading, look, options, catalogue, prepared, files })
}

/// Districts that a profile brings and the registry does not know yet.
async fn missing_districts(state: &AppState, profile: &Profile) -> Result<Vec<District>, Problem> {
    let known = state.registry.list_districts().await?;
    let missing = profile.districts.iter().filter(|(code, _)| known.iter().all(|there| there.code != *code));
    let district = |(code, name): &(String, String)| District {
        code: code.clone(),
        name_zh: name.clone(),
        name_en: name.clone(),
    };
    Ok(missing.map(district).collect())
}

/// What one reading of a file came to.
struct Taken {
    number: Option<ImportNumber>,
    summary: ImportSummary,
    /// Districts that its rows name and only the profile knows.
    brought: Vec<District>,
    findings: Findings,
    /// `None` where a part of the file had been taken before.
    noted: Option<(Noted, BTreeMap<u64, String>)>,
    points: Vec<[f64; 2]>,
}

async fn take(
    state: &AppState,
    ready: &Ready,
    options: ImportOptions,
    announced: &[(String, String)],
    progress: &Progress,
) -> Result<Taken, Problem> {
    let mut brought = missing_districts(state, &ready.reading.profile).await?;
    if options.mode == ImportMode::Write {
        // No more than the look found in the file: a profile may know the districts of a whole province.
        brought.retain(|district| announced.iter().any(|(code, _)| *code == district.code));
        if !brought.is_empty() {
            state.registry.put_districts(&brought).await?;
        }
    }
    let mut run = state.registry.begin_import(options).await?;
    run.expect_districts(brought.iter().map(|district| district.code.clone()));
    let (number, whole) = (run.number(), run.resumed_at() == 0);
    let list = ready.place.problems().with_extension("new");
    let sentence = |refusal: &Refusal| ready.catalogue.refusal(refusal);
    let mut notebook = Notebook::open(&list, &ready.name, sentence).map_err(|error| from_io(&error))?;
    let dots = Arc::new(Mutex::new(Dots::default()));
    let seen = dots.clone();
    let named = Arc::new(Mutex::new(BTreeSet::new()));
    let names = named.clone();
    let see = move |row: &intake::Row| {
        if let Ok(mut dots) = seen.lock() {
            dots.see(row);
        }
        if let (Ok(row), Ok(mut names)) = (row, names.lock())
            && !names.contains(&row.survey.district)
        {
            names.insert(row.survey.district.clone());
        }
    };
    let body = Body::Path(ready.place.body());
    let file = IntakeFile { name: ready.name.clone(), format: ready.format, body };
    let far = |rows: u64| progress.rows.store(rows, Ordering::Relaxed);
    let note = |note| notebook.note(&note);
    let findings = intake::take_file_seen(&mut run, &ready.reading, file, see, note, far).await?;
    let summary = run.finish().await?;
    let noted = notebook.finish().map_err(|error| from_io(&error))?;
    if whole {
        std::fs::rename(&list, ready.place.problems()).map_err(|error| from_io(&error))?;
    }
    let points = dots.lock().map(|mut dots| std::mem::take(&mut *dots).into_points()).unwrap_or_default();
    let named = named.lock().map(|mut named| std::mem::take(&mut *named)).unwrap_or_default();
    brought.retain(|district| named.contains(&district.code));
    Ok(Taken { number, summary, brought, findings, noted: whole.then_some(noted), points })
}

async fn look_at(state: &AppState, upload: &CensusUpload, progress: &Progress) -> Result<Preview, Problem> {
    let ready = make_ready(state, upload, Actor::System).await?;
    let taken = take(state, &ready, ready.options.clone(), &[], progress).await?;
    let (noted, to_correct) = taken.noted.unwrap_or_default();
    let (mut corrected, mut twin_texts) = (0, BTreeMap::new());
    if !(to_correct.is_empty() && noted.twins.is_empty()) {
        let (name, format, path) = (ready.name.clone(), ready.format, ready.place.body());
        let file = FileRows { reading: ready.reading.clone(), name, format, path };
        let (twins, out) = (noted.twins.clone(), ready.place.rows());
        let writing = tokio::task::spawn_blocking(move || write_rows(&file, &to_correct, &twins, &out));
        let stopped = |_| Problem::from(Refusal::new("import.reader_stopped"));
        let written = writing.await.map_err(stopped)?.map_err(|trouble| match trouble {
            Trouble::Refused(refusal) => refusal.into(),
            Trouble::Disk(error) => from_io(&error),
        });
        (corrected, twin_texts) = written?;
    }
    let mut coordinates = ready.look.coordinates().cloned();
    let each = |say: &mut dyn FnMut(&'static Catalogue) -> Vec<String>| -> BTreeMap<String, Vec<String>> {
        Language::ALL.iter().map(|one| (one.tag().to_owned(), say(Catalogue::of(*one)))).collect()
    };
    let understood = each(&mut |catalogue| views::understood(catalogue, &taken.findings));
    let evidence = each(&mut |catalogue| evidence(catalogue, coordinates.as_mut()));
    Ok(Preview {
        understood,
        crs: coordinates.map(|coordinates| coordinates.crs),
        evidence,
        columns: ready.look.columns.clone(),
        notes: ready.look.notes.clone(),
        profile: Some(ProfileUsed {
            name: ready.look.profile.id.clone(),
            version: ready.look.profile.version,
            text: ready.look.profile.text.to_string(),
        }),
        source: ready.options.source.clone(),
        summary: taken.summary,
        noted,
        twin_texts,
        points: taken.points,
        to_correct: corrected,
        new_districts: taken.brought.into_iter().map(|district| (district.code, district.name_zh)).collect(),
    })
}

/// What speaks for the reading of the coordinates, in sentences.
fn evidence(catalogue: &Catalogue, coordinates: Option<&mut Coordinates>) -> Vec<String> {
    let Some(coordinates) = coordinates else { return Vec::new() };
    coordinates.say(|code, facts| catalogue.fill(&format!("evidence.{code}"), facts));
    coordinates.evidence.iter().map(|observation| observation.detail.clone()).collect()
}

async fn write_all(
    state: &AppState,
    upload: &CensusUpload,
    actor: Actor,
    progress: &Progress,
) -> Result<(Option<ImportNumber>, ImportSummary, Option<Noted>), Problem> {
    let ready = make_ready(state, upload, actor).await?;
    let file = ready.prepared.census_file(&ready.files).await.map_err(|error| from_io(&error))?;
    let options = ImportOptions { mode: ImportMode::Write, file, ..ready.options.clone() };
    let announced = files::find_preview(state, upload.id)?.map(|preview| preview.new_districts);
    let taken = take(state, &ready, options, &announced.unwrap_or_default(), progress).await?;
    Ok((taken.number, taken.summary, taken.noted.map(|(noted, _)| noted)))
}

/// Refuses to take back what was taken back already.
pub(super) async fn check_roll_back(state: &AppState, number: ImportNumber) -> Result<(), RegistryError> {
    use crate::domain::import_run::ImportState;
    let record = state.registry.find_import(number).await?;
    if record.state == ImportState::RolledBack {
        return Err(RegistryError::Conflict(Refusal::new("import.rolled_back").with("number", number)));
    }
    Ok(())
}

/// A refusal as it is kept beside a file.
pub(super) fn sentence(catalogue: &Catalogue, refusal: &StoredRefusal) -> String {
    catalogue.stored_refusal_in_words(&refusal.code, &refusal.params)
}
