//! A batch printed again from its ledger: the same tokens, the same symbols, the same words, and as
//! long as program and fonts are the same, the same bytes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::labels::labels_of;
use super::print::{plate_run, render, spec};
use super::wanted::{blank_words, find_covers, words_of};
use super::{PressError, unknown_batch};
use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::code::ComponentCode;
use crate::domain::ids::{BatchId, CoverId};
use crate::domain::plate::Plate;
use crate::domain::plate_batch::{BatchState, Ordinals};
use crate::plates::{Level, PlateError, PlateRun, PlateSpec, PrintHead, render_svgs, render_zpl};
use crate::registry::{Batch, Registry};

/// Which plates of a batch.
#[derive(Debug, Clone)]
pub enum Sheets {
    /// All, in one file.
    All,
    /// One of the files of a batch that was split; the first is 1.
    File(i64),
    /// Only these.
    Only(Ordinals),
}

impl Sheets {
    /// How many plates of a batch these come to.
    pub fn count(&self, batch: &Batch) -> i64 {
        let all = last_ordinal(batch);
        let between = |(first, last): (i64, i64)| (last.min(all) - first + 1).max(0);
        match self {
            Sheets::All => all,
            Sheets::File(file) => between(ordinals_of_file(batch, *file)),
            Sheets::Only(ordinals) => ordinals.ranges().iter().copied().map(between).sum(),
        }
    }
}

/// What a print again came to.
#[derive(Debug, Clone)]
pub struct Printed {
    pub batch: Batch,
    pub count: usize,
    pub pages: usize,
    pub bytes: u64,
}

/// How many files a batch is printed in.
pub fn file_count(batch: &Batch) -> i64 {
    match batch.order.split {
        Some(split) if split > 0 => {
            last_ordinal(batch).div_euclid(split) + i64::from(last_ordinal(batch) % split > 0)
        }
        _ => 1,
    }
}

/// The highest ordinal that may be there.
fn last_ordinal(batch: &Batch) -> i64 {
    match batch.order.state {
        BatchState::Released if batch.order.lines_done > 0 => batch.order.lines_done,
        BatchState::Released => batch.plate_count,
        BatchState::Drafted | BatchState::UnderWay => batch.order.lines_done,
    }
}

/// First and last ordinal of a file of a batch.
pub(super) fn ordinals_of_file(batch: &Batch, file: i64) -> (i64, i64) {
    match batch.order.split {
        Some(split) if split > 0 => ((file - 1) * split + 1, file * split),
        _ => (1, i64::MAX),
    }
}

/// Prints plates of a batch once more into a file.
pub async fn reprint(
    registry: &Registry,
    config: &Config,
    data: &Path,
    which: (BatchId, &Sheets),
    target: &Path,
) -> Result<Printed, PressError> {
    let Again { batch, run, specs, .. } = gather(registry, config, data, which).await?;
    let count = specs.len();
    let (waiting, _, summary) = render(run, specs, target.to_owned()).await?;
    waiting.release(target)?;
    Ok(Printed { batch, count, pages: summary.pages, bytes: summary.bytes })
}

/// Draws plates of a batch for engravers: an SVG each in `folder`, named by ordinal and token. Gives
/// their paths.
pub async fn engrave(
    registry: &Registry,
    config: &Config,
    data: &Path,
    which: (BatchId, &Sheets),
    folder: &Path,
) -> Result<Vec<PathBuf>, PressError> {
    let again = gather(registry, config, data, which).await?;
    let trouble = |path: &Path, source| PressError::File { path: path.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(|source| trouble(folder, source))?;
    let paths: Vec<PathBuf> = again.svg_names().map(|name| folder.join(name)).collect();
    let Again { run, specs, .. } = again;
    let targets = paths.clone();
    drawn(move || render_svgs(&run, &specs, |at, svg| std::fs::write(&targets[at], svg)).map(drop)).await?;
    Ok(paths)
}

/// What [`engrave`] puts into a folder, in one ZIP under the same names. On an error `out` holds a torn file.
pub async fn engrave_zip(
    registry: &Registry,
    config: &Config,
    data: &Path,
    which: (BatchId, &Sheets),
    out: File,
) -> Result<(), PressError> {
    let again = gather(registry, config, data, which).await?;
    let names: Vec<String> = again.svg_names().collect();
    let Again { run, specs, .. } = again;
    drawn(move || {
        let mut zip = ZipWriter::new(BufWriter::new(out));
        render_svgs(&run, &specs, |at, svg| {
            zip.start_file(names[at].as_str(), SimpleFileOptions::default())?;
            zip.write_all(svg)
        })?;
        zip.finish().map_err(io::Error::from)?.flush()?;
        Ok(())
    })
    .await
}

/// Draws plates of a batch for a label printer into one file of ZPL. Gives how many.
pub async fn print_labels(
    registry: &Registry,
    config: &Config,
    data: &Path,
    which: (BatchId, &Sheets),
    (head, target): (PrintHead, &Path),
) -> Result<usize, PressError> {
    let trouble = |source| PressError::File { path: target.to_owned(), source };
    let file = tempfile::NamedTempFile::new_in(folder_of(target)).map_err(trouble)?;
    let out = file.as_file().try_clone().map_err(trouble)?;
    let count = write_labels(registry, config, data, which, (head, out)).await?;
    file.persist(target).map_err(|error| trouble(error.error))?;
    Ok(count)
}

/// The same into a file that is open. On an error it holds a torn file.
pub async fn write_labels(
    registry: &Registry,
    config: &Config,
    data: &Path,
    which: (BatchId, &Sheets),
    (head, out): (PrintHead, File),
) -> Result<usize, PressError> {
    let Again { run, specs, .. } = gather(registry, config, data, which).await?;
    let count = specs.len();
    drawn(move || render_zpl(&run, &specs, head, &mut BufWriter::new(out)).map(drop)).await?;
    Ok(count)
}

/// Draws on a thread that may take its time.
async fn drawn(draw: impl FnOnce() -> Result<(), PlateError> + Send + 'static) -> Result<(), PressError> {
    let drawn = tokio::task::spawn_blocking(draw);
    Ok(drawn.await.unwrap_or_else(|_| Err(Refusal::new("plates.stopped").into()))?)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Plates of a batch as they were drawn, ready to be drawn again.
struct Again {
    batch: Batch,
    run: PlateRun,
    specs: Vec<PlateSpec>,
    /// Of each of `specs`.
    ordinals: Vec<i64>,
}

impl Again {
    fn svg_names(&self) -> impl Iterator<Item = String> {
        let named = |(ordinal, spec): (&i64, &PlateSpec)| format!("{ordinal:06}-{}.svg", spec.token);
        self.ordinals.iter().zip(&self.specs).map(named)
    }
}

async fn gather(
    registry: &Registry,
    config: &Config,
    data: &Path,
    (id, which): (BatchId, &Sheets),
) -> Result<Again, PressError> {
    let batch = registry.find_batch(id).await?.ok_or_else(|| unknown_batch(id))?;
    let labels = labels_of(data, &batch)?;
    let (part, (first, last)) = match which {
        Sheets::File(file) => {
            let files = file_count(&batch);
            if !(1..=files).contains(file) {
                return Err(Refusal::new("batch.file")
                    .at("file")
                    .with("read", file)
                    .with("count", files)
                    .into());
            }
            (batch.order.split.map(|_| *file), ordinals_of_file(&batch, *file))
        }
        Sheets::All | Sheets::Only(_) => (None, (1, i64::MAX)),
    };
    let (mut specs, mut ordinals) = (Vec::new(), Vec::new());
    let mut after = first - 1;
    while after < last {
        let page = registry.list_batch_plates(id, after, 1000).await?;
        let Some(end) = page.last().map(|plate| plate.ordinal) else { break };
        let wanted: Vec<&Plate> = page
            .iter()
            .filter(|plate| plate.ordinal <= last)
            .filter(|plate| match which {
                Sheets::Only(ordinals) => ordinals.holds(plate.ordinal),
                _ => true,
            })
            .collect();
        ordinals.extend(wanted.iter().map(|plate| plate.ordinal));
        specs.extend(specs_of(registry, config, &batch, &wanted).await?);
        after = end;
    }
    let run = plate_run(&batch, labels, part);
    Ok(Again { batch, run, specs, ordinals })
}

/// Plates as they were drawn.
async fn specs_of(
    registry: &Registry,
    config: &Config,
    batch: &Batch,
    plates: &[&Plate],
) -> Result<Vec<PlateSpec>, PressError> {
    let (Some(first), Some(last)) = (plates.first(), plates.last()) else { return Ok(Vec::new()) };
    let lines = registry.list_plate_lines(batch.id, (first.ordinal, last.ordinal)).await?;
    // Batches from before orders were kept say what is known of their covers now.
    let without: Vec<CoverId> = match lines.is_empty() {
        true => plates.iter().filter_map(|plate| plate.cover).collect(),
        false => Vec::new(),
    };
    let covers = find_covers(registry, &without).await?;
    let level = batch.order.level.and_then(|level| level.to_string().parse::<Level>().ok());
    let blank = batch.order.labels.blank.clone().unwrap_or_else(|| blank_words(config, level));
    plates
        .iter()
        .map(|plate| {
            let line = lines.binary_search_by_key(&plate.ordinal, |line| line.ordinal).ok();
            let cover = plate.cover.and_then(|cover| covers.get(&cover));
            let words = match (line, &plate.printed_code, cover) {
                (Some(at), ..) => lines[at].words.clone(),
                (None, Some(digits), Some(cover)) => {
                    let code = ComponentCode { digits: digits.clone(), ..cover.code.clone() };
                    let mut words = words_of(registry, config, cover, level);
                    words.code = Some(registry.grouped_code(&code));
                    words
                }
                // A plate that was printed blank stays blank, whatever it was bound to since.
                _ => blank.clone(),
            };
            let mut spec = spec(plate.token, plate.payload.clone(), &words)?;
            spec.symbol = Some(plate.symbol);
            Ok(spec)
        })
        .collect()
}
