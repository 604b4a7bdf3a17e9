//! Files on their way out, for command line and HTTP alike: rows of the registry, page by page, into a
//! writer of `export` on a thread of its own; and whole files in an archive, both ways. How a format is
//! written is `export`'s, which rows there are is the registry's.

mod archive;
mod columns;
mod filters;
mod table;

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::crs::CrsBook;
use crate::domain::Refusal;
use crate::domain::ids::{CoverId, Millis};
use crate::export::{Frame, Order, Sink, begin};
use crate::messages::Language;
use crate::registry::{
    CaseSelection, CoverFilter, CoverLine, ExportPages, PlateSelection, Registry, RegistryError,
};
use columns::{Names, Sheet};

pub use archive::{TakenIn, export_archive, import_archive, open_archive};
pub use filters::{CaseFilters, CoverFilters, PlateFilters, start_of_day};
pub use table::{Cell, Table, TableColumn, TableKind, TableWriter, write_table};

pub use crate::export::{ExportError, Format, Manifest, Written};

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Covers(CoverFilter),
    Cases(CaseSelection),
    Plates(PlateSelection),
}

impl What {
    /// Name of the layer, and of the file where nobody gives one.
    pub const fn name(&self) -> &'static str {
        match self {
            What::Covers(_) => "covers",
            What::Cases(_) => "cases",
            What::Plates(_) => "plates",
        }
    }
}

/// A file that somebody wants.
#[derive(Debug, Clone)]
pub struct FileOrder {
    pub what: What,
    pub format: Format,
    /// Reference system as a person names it; `None` = degrees of CGCS2000.
    pub crs: Option<String>,
    /// Headings and stored words of a table in this language; `None` = as programs know them.
    pub words: Option<Language>,
    /// Minutes east of Greenwich of the clock in tables.
    pub utc_offset_minutes: i32,
    /// Of covers, these alone of those that the selection means; `None` = all of them.
    pub only: Option<Arc<HashSet<CoverId>>>,
    /// Covers as they were at this moment; the selection is then every one that was in use.
    pub at: Option<Millis>,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The thread that writes the file gave up.
    #[error("the writer of the file stopped")]
    Stopped,
}

impl From<Refusal> for OutletError {
    fn from(refusal: Refusal) -> Self {
        OutletError::Export(refusal.into())
    }
}

/// Pages that wait for the writer: memory stays flat however slow the disk is.
const WAITING: usize = 2;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    pub written: Written,
    /// In which system, e.g. `EPSG:4549 CGCS2000 / 3-degree Gauss-Kruger CM 120E`.
    pub system: String,
}

/// The systems that come with the program and those of `crs.toml` in the data folder.
fn read_book(data: &Path) -> Result<CrsBook, Refusal> {
    let file = data.join("crs.toml");
    match std::fs::read_to_string(&file) {
        Ok(text) => CrsBook::built_in().with(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(CrsBook::built_in()),
        Err(error) => Err(Refusal::new("file.not_read").with("file", file.display()).with("reason", error)),
    }
}

/// Writes a file. `data` is the data folder, for reference systems of the city's own; `scratch` a folder for
/// what does not fit into memory meanwhile; `progress` is told how many rows there were so far. On an error
/// `out` holds a torn file.
pub async fn write_file(
    registry: &Registry,
    data: &Path,
    order: FileOrder,
    (out, scratch): (File, &Path),
    progress: impl Fn(u64) + Send + 'static,
) -> Result<Exported, OutletError> {
    let FileOrder { what, format, crs, words, utc_offset_minutes, only, at } = order;
    if words.is_some() && !format.is_table() {
        return Err(Refusal::new("export.words").at("words").with("format", format).into());
    }
    let book = read_book(data)?;
    let frame = match crs {
        Some(crs) => Frame::of(book.named(&crs)?)?,
        None => Frame::degrees(&book)?,
    };
    let system = frame.crs().to_string();
    let names = Names::read(registry, words).await?;
    let sheet = Sheet { frame: frame.clone(), format, names };
    let layer = sheet.layer(&what, registry.now(), utc_offset_minutes);
    let sink = begin(Order { format, layer, frame, scratch }, out)?;
    let is_wanted = move |line: &CoverLine<'_>| only.as_ref().is_none_or(|only| only.contains(&line.cover));
    let written = match what {
        What::Covers(_) if at.is_some() => {
            let (sender, pages) = mpsc::channel(WAITING);
            let wanted = ExportPages::CoversAt(at.unwrap_or(registry.now()), sender);
            pass_on(registry, wanted, pages, sink, progress, move |(page, past), sink| {
                let mut rows = 0;
                for line in page.lines() {
                    let line = line.map_err(RegistryError::from)?;
                    if is_wanted(&line)
                        && let Some(written) = past.line(&line, |was| sheet.cover(was, |row| sink.row(row)))
                    {
                        written?;
                        rows += 1;
                    }
                }
                Ok(rows)
            })
            .await
        }
        What::Covers(selection) => {
            let (sender, pages) = mpsc::channel(WAITING);
            let wanted = ExportPages::Covers(selection, sender);
            pass_on(registry, wanted, pages, sink, progress, move |page, sink| {
                let mut rows = 0;
                for line in page.lines() {
                    let line = line.map_err(RegistryError::from)?;
                    if is_wanted(&line) {
                        sheet.cover(&line, |row| sink.row(row))?;
                        rows += 1;
                    }
                }
                Ok(rows)
            })
            .await
        }
        What::Cases(selection) => {
            let (sender, pages) = mpsc::channel(WAITING);
            let wanted = ExportPages::Cases(selection, sender);
            pass_on(registry, wanted, pages, sink, progress, move |page, sink| {
                for case in &page {
                    sheet.case(case, |row| sink.row(row))?;
                }
                Ok(page.len())
            })
            .await
        }
        What::Plates(selection) => {
            let (sender, pages) = mpsc::channel(WAITING);
            let wanted = ExportPages::Plates(selection, sender);
            pass_on(registry, wanted, pages, sink, progress, move |page, sink| {
                for plate in &page {
                    sheet.plate(plate, |row| sink.row(row))?;
                }
                Ok(page.len())
            })
            .await
        }
    };
    Ok(Exported { written: written?, system })
}

/// Reads pages and writes them at the same time.
async fn pass_on<P: Send + 'static>(
    registry: &Registry,
    wanted: ExportPages,
    mut pages: mpsc::Receiver<P>,
    mut sink: Box<dyn Sink>,
    progress: impl Fn(u64) + Send + 'static,
    mut write: impl FnMut(P, &mut dyn Sink) -> Result<usize, OutletError> + Send + 'static,
) -> Result<Written, OutletError> {
    let writer = tokio::task::spawn_blocking(move || {
        let mut rows = 0;
        while let Some(page) = pages.blocking_recv() {
            rows += write(page, sink.as_mut())? as u64;
            progress(rows);
        }
        Ok::<_, OutletError>(sink)
    });
    let read = registry.export_pages(wanted).await;
    let sink = writer.await.map_err(|_| OutletError::Stopped)??;
    // A file that lacks rows is not completed.
    read?;
    let finished = tokio::task::spawn_blocking(move || sink.finish()).await;
    Ok(finished.map_err(|_| OutletError::Stopped)??)
}
