//! Plates from order to release, shared by command line and HTTP: draws tokens, lets `plates` render
//! and prove the sheets into a file beside the target, commits the batch, and only then gives the
//! file its name. **No batch is in the registry whose sheets were not proved.**

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::cover::{CoverClass, CoverFile};
use crate::domain::ids::{BatchId, CoverId};
use crate::domain::plate::{Finish, Plate, PlateSpot, PlateState};
use crate::domain::role::Actor;
use crate::domain::token::{Token, plate_payload};
use crate::messages::{Catalogue, Language};
use crate::plates::{
    Face, Level, Palette, PlateError, PlateRun, PlateSpec, RenderSummary, Sheet, render_batch, write_ledger,
};
use crate::registry::{Batch, CoverFilter, NewBatch, Registry, RegistryError};

/// Most plates of one order from the command line.
pub const MOST_PLATES: usize = 100_000;
/// How often a clash of tokens is answered with new ones. One clash in 2⁵⁵ draws per plate is expected.
const DRAWS: usize = 4;

/// Which plates are wanted.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// To be bound in the field.
    Blank(usize),
    /// One for each, in this order.
    Covers(Vec<CoverId>),
    /// One for each cover that fits.
    Matching(CoverFilter),
}

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
    pub note: String,
    pub actor: Actor,
}

/// A batch that is released.
#[derive(Debug, Clone)]
pub struct Pressed {
    pub batch: Batch,
    /// In the order of the ledger.
    pub plates: Vec<Plate>,
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

/// The city's face of this id: built in, or in the data folder's `faces`.
pub fn find_face(data: &Path, id: &str) -> Result<Face, Refusal> {
    let own = own_labels(&data.join("faces"))?;
    let own = own.iter().map(|text| Face::from_toml(text)).collect::<Result<Vec<_>, _>>()?;
    let all: Vec<Face> = own.into_iter().chain(Face::built_in()).collect();
    let fits: Vec<&str> = all.iter().map(|face| face.id.as_str()).collect();
    let refusal = Refusal::new("face.unknown").at("face").with("read", id).with("fits", fits.join(", "));
    all.iter().find(|face| face.id == id).cloned().ok_or(refusal)
}

/// The city's sheet of this id: built in, or in the data folder's `sheets`.
pub fn find_sheet(data: &Path, id: &str) -> Result<Sheet, Refusal> {
    let own = own_labels(&data.join("sheets"))?;
    let own = own.iter().map(|text| Sheet::from_toml(text)).collect::<Result<Vec<_>, _>>()?;
    let all: Vec<Sheet> = own.into_iter().chain(Sheet::built_in()).collect();
    let fits: Vec<&str> = all.iter().map(|sheet| sheet.id.as_str()).collect();
    let refusal = Refusal::new("sheet.unknown").at("sheet").with("read", id).with("fits", fits.join(", "));
    all.iter().find(|sheet| sheet.id == id).cloned().ok_or(refusal)
}

fn own_labels(folder: &Path) -> Result<Vec<String>, Refusal> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let read = |file: &PathBuf| {
        std::fs::read_to_string(file)
            .map_err(|error| Refusal::new("file.not_read").with("file", file.display()).with("reason", error))
    };
    files.iter().map(read).collect()
}

/// Makes a batch: tokens drawn, sheets proved, batch committed, PDF at `target`. `data` is the data
/// folder, for faces and sheets of the city's own.
pub async fn make_batch(
    registry: &Registry,
    config: &Config,
    data: &Path,
    order: &PlateOrder,
    target: &Path,
) -> Result<Pressed, PressError> {
    let face = find_face(data, &order.face)?;
    let sheet = find_sheet(data, &order.sheet)?;
    if config.plate_host.is_empty() {
        return Err(Refusal::new("plates.no_host").into());
    }
    if order.note.chars().count() > 200 || order.note.chars().any(char::is_control) {
        return Err(Refusal::new("batch.note").at("note").into());
    }
    let wanted = find_wanted(registry, &order.wanted, order.most).await?;
    let mut draws = 0;
    loop {
        draws += 1;
        let batch = Batch {
            id: BatchId::fresh(),
            face: face.id.clone(),
            sheet: sheet.id.clone(),
            host: config.plate_host.clone(),
            note: order.note.clone(),
            actor: order.actor.word(),
            plate_count: wanted.len() as i64,
            created_at: registry.now(),
        };
        let mut specs = draw_specs(registry, config, &wanted);
        specs.iter_mut().for_each(|spec| spec.level = order.level);
        let run = plate_run(&batch, face.clone(), sheet.clone());
        let (waiting, specs, summary) = render(run, specs, target.to_owned()).await?;
        let plates = ledger_plates(&batch, &wanted, &specs, &summary);
        let new = NewBatch { batch: batch.clone(), plates: plates.clone() };
        match registry.commit_batch(new).await {
            Ok(()) => {
                waiting.release(target)?;
                return Ok(Pressed { batch, plates, pages: summary.pages, bytes: summary.bytes });
            }
            // A token that exists already: the odds are against two in a row.
            Err(RegistryError::Conflict(_)) if draws < DRAWS => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Prints a batch, or some of its plates, once more: the same tokens, the same symbols.
pub async fn reprint(
    registry: &Registry,
    config: &Config,
    data: &Path,
    (id, only): (BatchId, &[Token]),
    target: &Path,
) -> Result<Pressed, PressError> {
    let unknown = || RegistryError::NotFound(Refusal::new("batch.unknown").at("batch").with("read", id));
    let batch = registry.find_batch(id).await?.ok_or_else(unknown)?;
    let face = find_face(data, &batch.face)?;
    let sheet = find_sheet(data, &batch.sheet)?;
    let mut plates = list_plates(registry, id).await?;
    if let Some(stranger) = only.iter().find(|token| !plates.iter().any(|plate| plate.token == **token)) {
        return Err(Refusal::new("batch.other_plate").at("only").with("read", stranger.grouped()).into());
    }
    if !only.is_empty() {
        plates.retain(|plate| only.contains(&plate.token));
    }
    let covers: Vec<CoverId> = plates.iter().filter_map(|plate| plate.cover).collect();
    let covers = find_covers(registry, &covers).await?;
    let specs: Vec<PlateSpec> = plates
        .iter()
        .map(|plate| {
            let cover = plate.cover.and_then(|cover| covers.get(&cover));
            // A plate that was printed blank stays blank, whatever it was bound to since.
            let cover = cover.filter(|_| plate.printed_code.is_some());
            let drawn = (plate.token, plate.payload.clone());
            let mut spec = spec_of(registry, config, cover, drawn);
            if let (Some(digits), Some(cover)) = (&plate.printed_code, cover) {
                let code =
                    crate::domain::code::ComponentCode { digits: digits.clone(), ..cover.code.clone() };
                spec.code_groups = Some(registry.grouped_code(&code));
            }
            spec.symbol = Some(plate.symbol);
            spec
        })
        .collect();
    let run = plate_run(&batch, face, sheet);
    let (waiting, _, summary) = render(run, specs, target.to_owned()).await?;
    waiting.release(target)?;
    Ok(Pressed { batch, plates, pages: summary.pages, bytes: summary.bytes })
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

/// The ledger of a batch as CSV.
pub fn ledger(plates: &[Plate]) -> Vec<u8> {
    let mut out = Vec::new();
    write_ledger(plates, &mut out).expect("memory takes what is written");
    out
}

async fn find_wanted(
    registry: &Registry,
    wanted: &Wanted,
    most: usize,
) -> Result<Vec<Option<CoverFile>>, PressError> {
    let found: Vec<Option<CoverFile>> = match wanted {
        Wanted::Blank(count) => vec![None; (*count).min(most + 1)],
        Wanted::Covers(ids) => {
            let mut seen = HashSet::with_capacity(ids.len());
            let twice = ids.iter().copied().find(|id| !seen.insert(*id));
            let mut files = find_covers(registry, ids).await?;
            if let Some(file) = twice.and_then(|id| files.get(&id)) {
                let code = registry.grouped_code(&file.code);
                return Err(Refusal::new("batch.cover_twice").at("covers").with("code", code).into());
            }
            let unknown = |id: &CoverId| {
                RegistryError::NotFound(Refusal::new("cover.unknown").at("covers").with("read", id))
            };
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(Some(files.remove(id).ok_or_else(|| unknown(id))?));
            }
            found
        }
        Wanted::Matching(filter) => {
            let mut filter = CoverFilter { limit: 1000, ..filter.clone() };
            let mut found: Vec<Option<CoverFile>> = Vec::new();
            while found.len() <= most {
                let page = registry.list_covers(filter.clone()).await?;
                let Some(last) = page.last() else { break };
                filter.after = Some(last.cover);
                found.extend(page.into_iter().map(Some));
            }
            found
        }
    };
    if found.is_empty() {
        return Err(Refusal::new("batch.empty").into());
    }
    if found.len() > most {
        return Err(Refusal::new("batch.too_many").at("count").with("most", most).into());
    }
    Ok(found)
}

async fn find_covers(
    registry: &Registry,
    ids: &[CoverId],
) -> Result<HashMap<CoverId, CoverFile>, RegistryError> {
    let files = registry.list_covers_by_id(ids).await?;
    Ok(files.into_iter().map(|file| (file.cover, file)).collect())
}

fn plate_run(batch: &Batch, face: Face, sheet: Sheet) -> PlateRun {
    PlateRun {
        face,
        sheet,
        palette: Palette::built_in(),
        finish: Finish::Color,
        title: batch.id.to_string(),
        dated: batch.created_at,
    }
}

fn draw_specs(registry: &Registry, config: &Config, wanted: &[Option<CoverFile>]) -> Vec<PlateSpec> {
    let mut random = rand::rng();
    let mut drawn = HashSet::with_capacity(wanted.len());
    wanted
        .iter()
        .map(|cover| {
            let token = loop {
                let token = Token::draw(&mut random);
                if drawn.insert(token) {
                    break token;
                }
            };
            let payload =
                plate_payload(config.plate_scheme, &config.plate_host, token, config.plate_lower_case);
            spec_of(registry, config, cover.as_ref(), (token, payload))
        })
        .collect()
}

fn spec_of(
    registry: &Registry,
    config: &Config,
    cover: Option<&CoverFile>,
    (token, payload): (Token, String),
) -> PlateSpec {
    // Faces are drawn in Chinese, whoever orders them.
    let words = Catalogue::of(Language::Zh);
    let Some(cover) = cover else {
        return PlateSpec {
            token,
            payload,
            code_groups: None,
            class: CoverClass::Unidentified,
            class_label: words.text("plate_face.any_cover").to_owned(),
            owner: config.city_zh.clone(),
            hotline: config.hotline.clone(),
            road: String::new(),
            level: None,
            symbol: None,
        };
    };
    let owner = cover.owner.as_ref().or(cover.maintainer.as_ref());
    PlateSpec {
        token,
        payload,
        code_groups: Some(registry.grouped_code(&cover.code)),
        class: cover.survey.class,
        class_label: words.word("class", cover.survey.class),
        owner: owner
            .map_or_else(|| words.text("plate_face.owner_unknown").to_owned(), |party| party.name.clone()),
        hotline: owner.and_then(|party| party.hotline.clone()).unwrap_or_else(|| config.hotline.clone()),
        road: cover
            .survey
            .road
            .clone()
            .or_else(|| cover.survey.address.clone())
            .unwrap_or_else(|| cover.district.name_zh.clone()),
        level: None,
        symbol: None,
    }
}

fn ledger_plates(
    batch: &Batch,
    wanted: &[Option<CoverFile>],
    specs: &[PlateSpec],
    summary: &RenderSummary,
) -> Vec<Plate> {
    let placed = wanted.iter().zip(specs).zip(&summary.plates);
    placed
        .enumerate()
        .map(|(at, ((cover, spec), placed))| Plate {
            token: spec.token,
            batch: batch.id,
            ordinal: at as i64 + 1,
            state: PlateState::Printed,
            payload: spec.payload.clone(),
            face: batch.face.clone(),
            symbol: placed.symbol,
            cover: cover.as_ref().map(|cover| cover.cover),
            manhole: cover.as_ref().map(|cover| cover.manhole),
            printed_code: cover.as_ref().map(|cover| cover.code.digits.clone()),
            page: placed.page,
            place_on_page: placed.place_on_page,
            successor: None,
            spot: PlateSpot::Public,
            holder: None,
            state_at: batch.created_at,
        })
        .collect()
}

/// Proved sheets that wait beside their target; removed unless released.
struct Waiting {
    path: PathBuf,
    released: bool,
}

impl Waiting {
    fn release(mut self, target: &Path) -> Result<(), PressError> {
        let trouble = |source| PressError::File { path: target.to_owned(), source };
        std::fs::rename(&self.path, target).map_err(trouble)?;
        self.released = true;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).map_err(trouble)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.released {
            // Half a file is worth nothing; that it stays is no harm either.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn render(
    run: PlateRun,
    specs: Vec<PlateSpec>,
    target: PathBuf,
) -> Result<(Waiting, Vec<PlateSpec>, RenderSummary), PressError> {
    let rendered = tokio::task::spawn_blocking(move || {
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = target.with_file_name(format!(".{name}.{}.part", BatchId::fresh()));
        let trouble = |source| PressError::File { path: target.clone(), source };
        let file = File::create(&path).map_err(trouble)?;
        let waiting = Waiting { path, released: false };
        let mut out = BufWriter::new(file);
        let summary = render_batch(&run, &specs, &mut out)?;
        out.flush().map_err(trouble)?;
        out.get_ref().sync_all().map_err(trouble)?;
        Ok((waiting, specs, summary))
    });
    rendered.await.unwrap_or_else(|_| Err(Refusal::new("plates.stopped").into()))
}
