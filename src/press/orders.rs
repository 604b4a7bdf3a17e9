//! Large orders, file after file: each file is drawn and proved, then its plates are taken into the
//! registry, then it gets its name. Killed at any moment, an order goes on with the first file that
//! is not there.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::again::{Sheets, file_count, ordinals_of_file, reprint};
use super::labels::{Labels, labels_of};
use super::print::{Piece, Waiting, check_drawn, clear_leftovers, hold_fonts, plate_run, render};
use super::wanted::Lines;
use super::{DRAWS, PressError, unknown_batch};
use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::ids::{BatchId, CoverId};
use crate::domain::plate::Plate;
use crate::domain::plate_batch::{BatchState, Ordered};
use crate::registry::{Batch, NewPart, PlateLine, Registry, RegistryError};

/// Where the files of an order go.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
    stem: String,
}

impl Files {
    /// In the data folder, named by the batch.
    pub fn in_data(data: &Path, id: BatchId) -> Self {
        Self { folder: data.join("batches"), stem: id.to_string() }
    }

    /// Beside a target that somebody named: `plates.pdf` gives `plates-001.pdf`.
    pub fn beside(target: &Path) -> Self {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let stem = target.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { folder: folder.unwrap_or(Path::new(".")).to_owned(), stem }
    }

    /// Of an order whose plates are all in one file.
    pub fn whole(&self) -> PathBuf {
        self.folder.join(format!("{}.pdf", self.stem))
    }

    pub fn path(&self, file: i64) -> PathBuf {
        self.folder.join(format!("{}-{file:03}.pdf", self.stem))
    }

    fn lock(&self, id: BatchId) -> PathBuf {
        self.folder.join(format!(".{id}.lock"))
    }
}

/// Lines that are checked at once: the fonts are cut down anew for each of them.
const CHECKED_AT_ONCE: usize = 2000;

/// Keeps the lines of a draft, each after its plate is known to be one that can be drawn.
pub(super) async fn keep_lines(
    registry: &Registry,
    config: &Config,
    (batch, labels): (&Batch, &Labels),
    lines: &mut Lines<'_>,
) -> Result<(), PressError> {
    let _fonts = hold_fonts().await?;
    loop {
        let mut chunk = Vec::with_capacity(CHECKED_AT_ONCE);
        while chunk.len() < CHECKED_AT_ONCE {
            let mut page = lines.page().await?;
            if page.is_empty() {
                break;
            }
            chunk.append(&mut page);
        }
        let Some(first) = chunk.first() else { return Ok(()) };
        let before = first.ordinal - 1;
        check(config, batch, labels, &chunk).await.map_err(|error| counted_from(error, before))?;
        registry.add_order_lines(batch.id, chunk).await?;
    }
}

/// Refuses plates that could not be drawn, before the first file is; blank ones differ in their tokens alone.
pub(super) async fn check(
    config: &Config,
    batch: &Batch,
    labels: &Labels,
    lines: &[PlateLine],
) -> Result<(), PressError> {
    let piece = if lines.is_empty() { Piece::Blank(1..=1) } else { Piece::Lines(lines) };
    let specs = piece.draw(config, batch)?;
    check_drawn(plate_run(batch, labels.clone(), Some(1)), specs).await
}

/// A refusal that counts plates within a chunk says the number within the order.
fn counted_from(error: PressError, before: i64) -> PressError {
    let Some(mut refusal) = error.refusal() else { return error };
    for (name, value) in &mut refusal.params {
        if *name == "plate"
            && let Ok(number) = value.parse::<i64>()
        {
            *value = (before + number).to_string();
        }
    }
    refusal.into()
}

/// One process works on an order at a time; the lock goes with the process.
struct Held {
    path: PathBuf,
    _file: File,
}

impl Held {
    fn take(path: PathBuf) -> Result<Self, PressError> {
        let trouble = |source| PressError::File { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(trouble)?;
        }
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(trouble)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(RegistryError::Conflict(Refusal::new("batch.in_work")).into())
            }
            Err(std::fs::TryLockError::Error(source)) => Err(trouble(source)),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // An empty file that stays does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Goes on with an order to its end; `progress` hears how many plates are done. Answers the released
/// batch. A file that is missing though its plates are in the ledger is printed again.
pub async fn go_on(
    registry: &Registry,
    config: &Config,
    data: &Path,
    (id, files): (BatchId, &Files),
    progress: impl Fn(i64),
) -> Result<Batch, PressError> {
    let held = Held::take(files.lock(id))?;
    let _fonts = hold_fonts().await?;
    let mut tries = 0;
    let batch = loop {
        let batch = registry.find_batch(id).await?.ok_or_else(|| unknown_batch(id))?;
        progress(batch.order.lines_done);
        if batch.order.state == BatchState::Released {
            break batch;
        }
        let from = batch.order.lines_done;
        match next_file(registry, config, data, &batch, files).await {
            Ok(()) => tries = 0,
            // A token that exists, or a cover that was changed meanwhile; or somebody else went on.
            Err(PressError::Registry(RegistryError::Conflict(_))) if tries < DRAWS => {
                let now = registry.find_batch(id).await?.map(|batch| batch.order.lines_done);
                tries = if now == Some(from) { tries + 1 } else { 0 };
            }
            Err(error) => return Err(error),
        }
    };
    for file in 1..=file_count(&batch) {
        let path = files.path(file);
        let (first, last) = ordinals_of_file(&batch, file);
        let there = registry.list_batch_plates(id, first - 1, 1).await?;
        if !path.exists() && there.first().is_some_and(|plate| plate.ordinal <= last) {
            reprint(registry, config, data, (id, &Sheets::File(file)), &path).await?;
        }
    }
    drop(held);
    Ok(batch)
}

async fn next_file(
    registry: &Registry,
    config: &Config,
    data: &Path,
    batch: &Batch,
    files: &Files,
) -> Result<(), PressError> {
    let split = batch.order.split.unwrap_or(batch.plate_count).max(1);
    let from = batch.order.lines_done;
    let done = (from + split).min(batch.plate_count);
    let file = from / split + 1;
    let target = files.path(file);
    clear_leftovers(&target);
    let lines = lines_in_use(registry, batch, (from + 1, done)).await?;
    let piece = match &batch.order.ordered {
        Some(Ordered::Blank { .. }) => Piece::Blank(from + 1..=done),
        _ => Piece::Lines(&lines),
    };
    let drawn = draw_file(config, data, batch, &piece, (file, &target)).await?;
    let (waiting, plates) = drawn.map_or((None, Vec::new()), |(waiting, plates)| (Some(waiting), plates));
    registry.commit_part(NewPart { batch: batch.id, from, done, plates }).await?;
    match waiting {
        Some(waiting) => waiting.release(&target),
        None => Ok(()),
    }
}

async fn draw_file(
    config: &Config,
    data: &Path,
    batch: &Batch,
    piece: &Piece<'_>,
    (file, target): (i64, &Path),
) -> Result<Option<(Waiting, Vec<Plate>)>, PressError> {
    let specs = piece.draw(config, batch)?;
    if specs.is_empty() {
        return Ok(None);
    }
    let run = plate_run(batch, labels_of(data, batch)?, Some(file));
    let (waiting, specs, summary) = render(run, specs, target.to_owned()).await?;
    Ok(Some((waiting, piece.plates(batch, specs, &summary))))
}

/// Lines whose covers are still in use: a cover that was retired since it was ordered gets no plate.
async fn lines_in_use(
    registry: &Registry,
    batch: &Batch,
    ordinals: (i64, i64),
) -> Result<Vec<PlateLine>, PressError> {
    let mut lines = registry.list_plate_lines(batch.id, ordinals).await?;
    let mut retired: HashSet<CoverId> = HashSet::new();
    for chunk in lines.chunks(1000) {
        let ids: Vec<CoverId> = chunk.iter().map(|line| line.cover).collect();
        let files = registry.list_covers_by_id(&ids).await?;
        retired.extend(files.iter().filter(|file| file.retired.is_some()).map(|file| file.cover));
    }
    lines.retain(|line| !retired.contains(&line.cover));
    Ok(lines)
}
