//! Plates from order to release, shared by command line and HTTP: draws tokens, lets `plates` render
//! and prove the sheets into a file beside the target, commits their plates, and only then gives the
//! file its name. **No plate is in the registry whose sheet was not proved.**

mod again;
mod labels;
mod orders;
mod own;
mod print;
mod successors;
mod wanted;

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use again::{Printed, Sheets, engrave, engrave_zip, file_count, print_labels, reprint, write_labels};
pub use labels::{find_face, find_palette, find_sheet, list_faces, list_printers, list_sheets};
pub use orders::{Files, go_on};
pub use own::{keep_colors, keep_face, keep_printer};
pub use print::hold_fonts;
pub use successors::{NewPlates, replace_plates};
pub use wanted::{Outline, Wanted};

use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::ids::{BatchId, IdempotencyKey};
use crate::domain::plate::{Finish, Plate, PlateState};
use crate::domain::plate_batch::{BatchState, Ordinals};
use crate::domain::role::Actor;
use crate::plates::{Level, PlateError, write_ledger};
use crate::registry::{
    Batch, BatchExtras, BatchOrder, NewBatch, OrderCall, PlateLine, Registry, RegistryError,
};
use labels::Labels;
use print::{Piece, plate_run, render};
use wanted::{Lines, blank_words, letter};

/// Most plates of one order.
pub const MOST_PLATES: usize = 100_000;
/// Most plates of one file of an order that is split.
pub const MOST_PER_FILE: usize = 20_000;
/// Plates of one file of a large order unless it says otherwise.
pub const USUAL_SPLIT: usize = 10_000;
/// How often a clash of tokens is answered with new ones. One clash in 2⁵⁵ draws per plate is expected.
const DRAWS: usize = 4;

/// An order of plates.
#[derive(Debug, Clone)]
pub struct PlateOrder {
    pub wanted: Wanted,
    /// An order that comes to more is refused.
    pub most: usize,
    pub face: String,
    pub sheet: String,
    /// `None` = H where its modules are not too small on the face, else Q.
    pub level: Option<Level>,
    pub finish: Finish,
    /// Whose offset and scale correct the sheets.
    pub printer: Option<String>,
    /// Plates of each file; `None` = all in one.
    pub split: Option<usize>,
    /// In which state plates leave their proof: `printed`, or `made` where somebody reports the print.
    pub made_as: PlateState,
    pub note: String,
    pub actor: Actor,
    /// The same order under the same key is carried out once.
    pub key: Option<IdempotencyKey>,
    /// Where the files of a split order go, as it is found again; `None` = into the data folder.
    pub target: Option<String>,
}

impl PlateOrder {
    /// What is usual: plates of 90 × 60 mm on A4, all in one file, printed at once.
    pub fn usual(wanted: Wanted, actor: Actor) -> Self {
        Self {
            wanted,
            most: MOST_PLATES,
            face: "rect-90x60".to_owned(),
            sheet: "a4".to_owned(),
            level: None,
            finish: Finish::Color,
            printer: None,
            split: None,
            made_as: PlateState::Printed,
            note: String::new(),
            actor,
            key: None,
            target: None,
        }
    }

    /// The call that this order is, where it may come again.
    fn call(&self) -> Option<OrderCall> {
        let key = self.key?;
        let wanted = match &self.wanted {
            Wanted::Covers(ids) => format!("{ids:?}"),
            Wanted::Within(outline) => format!("{outline:?}"),
            other => format!("{:?}", other.ordered()),
        };
        let said = format!(
            "{:?}",
            (
                &self.face,
                &self.sheet,
                self.level,
                self.finish,
                &self.printer,
                self.split,
                self.made_as,
                &self.note
            )
        );
        let mut hasher = Sha256::new();
        for part in [wanted, said, self.actor.word()] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Some(OrderCall { key, request_hash: hasher.finalize().into() })
    }
}

/// A batch that is released.
#[derive(Debug, Clone)]
pub struct Pressed {
    pub batch: Batch,
    pub count: usize,
    pub pages: usize,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum PressError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Plates(#[from] PlateError),
    #[error("{path} cannot be written: {source}")]
    File { path: PathBuf, source: std::io::Error },
}

impl From<Refusal> for PressError {
    fn from(refusal: Refusal) -> Self {
        PressError::Registry(RegistryError::Refused(refusal))
    }
}

impl PressError {
    /// What can be said of it; `None` = nothing that whoever ordered could do about.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            PressError::Registry(
                RegistryError::Refused(refusal)
                | RegistryError::NotFound(refusal)
                | RegistryError::Conflict(refusal)
                | RegistryError::Forbidden(refusal)
                | RegistryError::Storage(refusal),
            )
            | PressError::Plates(PlateError::Refused(refusal)) => Some(refusal.clone()),
            PressError::Plates(PlateError::Write(source)) => {
                Some(write_trouble(Path::new("plates.pdf"), source))
            }
            PressError::File { path, source } => Some(write_trouble(path, source)),
            _ => None,
        }
    }
}

fn write_trouble(path: &Path, source: &std::io::Error) -> Refusal {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Refusal::new("storage.full"),
        _ => Refusal::new("file.not_written").with("file", path.display()).with("reason", source),
    }
}

fn unknown_batch(id: BatchId) -> RegistryError {
    RegistryError::NotFound(Refusal::new("batch.unknown").at("batch").with("read", id))
}

/// An order that was checked as far as can be before tokens are drawn.
struct Ready<'a> {
    batch: Batch,
    labels: Labels,
    lines: Lines<'a>,
    call: Option<OrderCall>,
}

async fn make_ready<'a>(
    registry: &'a Registry,
    config: &'a Config,
    data: &Path,
    order: &'a PlateOrder,
) -> Result<Ready<'a>, PressError> {
    let asked = (order.face.as_str(), order.sheet.as_str(), order.printer.as_deref());
    let (labels, mut kept, printer) = labels::choose(data, asked)?;
    if config.plate_host.is_empty() {
        return Err(Refusal::new("plates.no_host").into());
    }
    check_order(order)?;
    let lines = open_lines(registry, config, order).await?;
    kept.finish = order.finish;
    kept.blank = matches!(order.wanted, Wanted::Blank(_)).then(|| blank_words(config, order.level));
    let batch = Batch {
        id: BatchId::fresh(),
        face: labels.face.id.clone(),
        sheet: labels.sheet.id.clone(),
        host: config.plate_host.clone(),
        note: order.note.clone(),
        actor: order.actor.word(),
        plate_count: lines.count() as i64,
        created_at: registry.now(),
        order: BatchOrder {
            state: BatchState::Released,
            made_as: order.made_as,
            ordered: Some(order.wanted.ordered()),
            level: order.level.map(letter),
            printer,
            labels: kept,
            split: None,
            target: None,
            lines_done: 0,
        },
    };
    Ok(Ready { batch, labels, lines, call: order.call() })
}

async fn open_lines<'a>(
    registry: &'a Registry,
    config: &'a Config,
    order: &'a PlateOrder,
) -> Result<Lines<'a>, PressError> {
    Lines::open(registry, config, (&order.wanted, order.most, order.level)).await
}

fn check_order(order: &PlateOrder) -> Result<(), Refusal> {
    if order.note.chars().count() > 200 || order.note.chars().any(char::is_control) {
        return Err(Refusal::new("batch.note").at("note"));
    }
    match order.split {
        Some(split) if !(1..=MOST_PER_FILE).contains(&split) => {
            Err(Refusal::new("batch.split").at("split").with("read", split).with("most", MOST_PER_FILE))
        }
        _ => Ok(()),
    }
}

/// What became of an order.
#[derive(Debug, Clone)]
pub enum Placed {
    Made(Box<Pressed>),
    /// [`go_on`] makes its files.
    UnderWay(BatchId),
}

/// Makes a batch in one file: tokens drawn, sheets proved, batch committed, PDF at `target`. `data` is
/// the data folder, for faces and sheets of the city's own.
pub async fn make_batch(
    registry: &Registry,
    config: &Config,
    data: &Path,
    order: &PlateOrder,
    target: &Path,
) -> Result<Pressed, PressError> {
    if let Some(first) = find_first(registry, order).await? {
        return again_from(registry, config, data, first, target).await;
    }
    let mut ready = make_ready(registry, config, data, order).await?;
    let lines = read_lines(&mut ready.lines, usize::MAX).await?;
    press_one(registry, config, data, (ready, lines), &|_| target.to_owned()).await
}

/// Makes a small order into one file, which `target` names, and keeps one of more than `one_file` plates,
/// or with a split of its own, for [`go_on`]: nothing of it is made yet, but every plate of it can be.
pub async fn place(
    registry: &Registry,
    config: &Config,
    data: &Path,
    order: &PlateOrder,
    (one_file, target): (usize, &(dyn Fn(BatchId) -> PathBuf + Sync)),
) -> Result<Placed, PressError> {
    if let Some(first) = find_first(registry, order).await? {
        let batch = registry.find_batch(first).await?.ok_or_else(|| unknown_batch(first))?;
        if batch.order.split.is_some() {
            return Ok(Placed::UnderWay(first));
        }
        let made = again_from(registry, config, data, first, &target(first)).await?;
        return Ok(Placed::Made(Box::new(made)));
    }
    let mut ready = make_ready(registry, config, data, order).await?;
    if order.split.is_none() && ready.lines.count() <= one_file {
        let lines = read_lines(&mut ready.lines, one_file).await?;
        if ready.lines.count() <= one_file {
            let made = press_one(registry, config, data, (ready, lines), target).await?;
            return Ok(Placed::Made(Box::new(made)));
        }
    }
    Ok(Placed::UnderWay(begin(registry, config, ready, order).await?))
}

/// All lines, or more than `enough` of them.
async fn read_lines(lines: &mut Lines<'_>, enough: usize) -> Result<Vec<PlateLine>, PressError> {
    let mut read = Vec::new();
    while read.len() <= enough {
        let mut page = lines.page().await?;
        if page.is_empty() {
            break;
        }
        read.append(&mut page);
    }
    Ok(read)
}

async fn begin(
    registry: &Registry,
    config: &Config,
    ready: Ready<'_>,
    order: &PlateOrder,
) -> Result<BatchId, PressError> {
    let Ready { mut batch, labels, mut lines, call } = ready;
    batch.order.state = BatchState::UnderWay;
    batch.order.split = Some(order.split.unwrap_or(USUAL_SPLIT) as i64);
    batch.order.target = order.target.clone();
    if let Wanted::Blank(_) = order.wanted {
        orders::check(config, &batch, &labels, &[]).await?;
        let extras = BatchExtras { call, ..BatchExtras::default() };
        return Ok(registry.begin_order(batch, extras).await?);
    }
    // How many they are is told before the first of them is kept.
    while !lines.page().await?.is_empty() {}
    batch.order.state = BatchState::Drafted;
    registry.draft_order(batch.clone()).await?;
    let mut lines = open_lines(registry, config, order).await?;
    let begun = match orders::keep_lines(registry, config, (&batch, &labels), &mut lines).await {
        Ok(()) => {
            registry.begin_drafted(batch.id, lines.count() as i64, call).await.map_err(PressError::from)
        }
        Err(error) => Err(error),
    };
    if begun.is_err() {
        // What stops an order is told; a draft that stays behind is forgotten with the next one.
        let _ = registry.drop_draft(batch.id).await;
    }
    begun
}

async fn press_one(
    registry: &Registry,
    config: &Config,
    data: &Path,
    (ready, lines): (Ready<'_>, Vec<PlateLine>),
    target: &(dyn Fn(BatchId) -> PathBuf + Sync),
) -> Result<Pressed, PressError> {
    let Ready { batch, labels, lines: read, call } = ready;
    let batch = Batch { plate_count: read.count() as i64, ..batch };
    let mut draws = 0;
    loop {
        draws += 1;
        // Tokens of a try that failed are in nobody's ledger: the batch has another name as well.
        let batch = Batch { id: BatchId::fresh(), ..batch.clone() };
        let piece = match lines.as_slice() {
            [] => Piece::Blank(1..=batch.plate_count),
            lines => Piece::Lines(lines),
        };
        let target = target(batch.id);
        let specs = piece.draw(config, &batch)?;
        let (waiting, specs, summary) =
            render(plate_run(&batch, labels.clone(), None), specs, target.clone()).await?;
        let plates = piece.plates(&batch, specs, &summary);
        let count = plates.len();
        let extras = BatchExtras { lines: lines.clone(), replaces: Vec::new(), call };
        match registry.commit_order(NewBatch { batch: batch.clone(), plates }, extras).await {
            Ok(id) if id == batch.id => {
                waiting.release(&target)?;
                return Ok(Pressed { batch, count, pages: summary.pages, bytes: summary.bytes });
            }
            // The same call was under way elsewhere and was faster.
            Ok(first) => return again_from(registry, config, data, first, &target).await,
            // A token that exists already: the odds are against two in a row.
            Err(RegistryError::Conflict(_)) if draws < DRAWS => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

/// An order like this one that was broken off, to go on with.
pub async fn find_broken_off(registry: &Registry, order: &PlateOrder) -> Result<Option<BatchId>, PressError> {
    let open = registry.list_open_orders().await?;
    let ordered = order.wanted.ordered();
    let same = |batch: &Batch| {
        batch.order.target == order.target
            && batch.order.ordered.as_ref() == Some(&ordered)
            && batch.order.split == Some(order.split.unwrap_or(USUAL_SPLIT) as i64)
            && batch.order.level == order.level.map(letter)
            && batch.order.labels.finish == order.finish
            && batch.order.printer.as_ref().map(|printer| &printer.name) == order.printer.as_ref()
            && (&batch.face, &batch.sheet, &batch.note) == (&order.face, &order.sheet, &order.note)
            && batch.actor == order.actor.word()
    };
    Ok(open.into_iter().find(same).map(|batch| batch.id))
}

async fn find_first(registry: &Registry, order: &PlateOrder) -> Result<Option<BatchId>, PressError> {
    match order.call() {
        Some(call) => Ok(registry.find_ordered(call).await?),
        None => Ok(None),
    }
}

async fn again_from(
    registry: &Registry,
    config: &Config,
    data: &Path,
    id: BatchId,
    target: &Path,
) -> Result<Pressed, PressError> {
    let printed = reprint(registry, config, data, (id, &Sheets::All), target).await?;
    let Printed { batch, count, pages, bytes } = printed;
    Ok(Pressed { batch, count, pages, bytes })
}

/// Every plate of a batch in the order of the ledger.
pub async fn list_plates(registry: &Registry, id: BatchId) -> Result<Vec<Plate>, RegistryError> {
    let mut plates: Vec<Plate> = Vec::new();
    loop {
        let after = plates.last().map_or(0, |plate| plate.ordinal);
        let page = registry.list_batch_plates(id, after, 1000).await?;
        if page.is_empty() {
            return Ok(plates);
        }
        plates.extend(page);
    }
}

/// The ledger of a batch, or of some of its plates, as CSV, a thousand plates at a time.
pub async fn write_ledger_of(
    registry: &Registry,
    (id, only): (BatchId, Option<&Ordinals>),
    out: &mut (impl Write + Send),
) -> Result<(), PressError> {
    let trouble = |source| PressError::File { path: PathBuf::from("ledger.csv"), source };
    let mut after = 0;
    loop {
        let mut page = registry.list_batch_plates(id, after, 1000).await?;
        if page.is_empty() && after > 0 {
            return Ok(());
        }
        let last = page.last().map(|plate| plate.ordinal);
        page.retain(|plate| only.is_none_or(|only| only.holds(plate.ordinal)));
        let mut text = Vec::new();
        write_ledger(&page, &mut text).expect("memory takes what is written");
        // The headings once.
        let from = match after {
            0 => 0,
            _ => text.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1),
        };
        out.write_all(&text[from..]).map_err(trouble)?;
        match last {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}
