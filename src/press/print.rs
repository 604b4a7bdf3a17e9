//! One file of plates: lines become specs, are drawn and proved into a file beside the target, and
//! wait there for the commit.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::PressError;
use super::labels::Labels;
use crate::config::Config;
use crate::domain::Refusal;
use crate::domain::ids::BatchId;
use crate::domain::plate::{Plate, PlateSpot};
use crate::domain::plate_batch::PlateWords;
use crate::domain::token::{Token, plate_payload};
use crate::plates::{
    HeldFonts, Level, PlateError, PlateRun, PlateSpec, RenderSummary, check_plates, render_batch,
};
use crate::registry::{Batch, PlateLine};

/// Plates of a batch that go into one file: of blank ones their ordinals, else their lines.
pub(super) enum Piece<'l> {
    Blank(std::ops::RangeInclusive<i64>),
    Lines(&'l [PlateLine]),
    /// Those of these ordinals, blank where they have no line.
    Mixed(i64, &'l [PlateLine]),
}

impl Piece<'_> {
    fn len(&self) -> usize {
        match self {
            Piece::Blank(ordinals) => ordinals.clone().count(),
            Piece::Lines(lines) => lines.len(),
            Piece::Mixed(count, _) => *count as usize,
        }
    }

    /// Draws a token for each plate, none twice.
    pub(super) fn draw(&self, config: &Config, batch: &Batch) -> Result<Vec<PlateSpec>, Refusal> {
        let mut random = rand::rng();
        let mut drawn = HashSet::with_capacity(self.len());
        let mut draw = |words: &PlateWords| {
            let token = loop {
                let token = Token::draw(&mut random);
                if drawn.insert(token) {
                    break token;
                }
            };
            let payload = plate_payload(config.plate_scheme, &batch.host, token, config.plate_lower_case);
            spec(token, payload, words)
        };
        let blank = || batch.order.labels.blank.as_ref().ok_or_else(|| Refusal::new("batch.empty"));
        match self {
            Piece::Lines(lines) => lines.iter().map(|line| draw(&line.words)).collect(),
            Piece::Blank(ordinals) => {
                let words = blank()?;
                ordinals.clone().map(|_| draw(words)).collect()
            }
            Piece::Mixed(count, lines) => {
                let words = blank()?;
                (1..=*count).map(|at| draw(line_of(lines, at).map_or(words, |line| &line.words))).collect()
            }
        }
    }

    /// The plates of proved specs, as the ledger will know them.
    pub(super) fn plates(&self, batch: &Batch, specs: Vec<PlateSpec>, summary: &RenderSummary) -> Vec<Plate> {
        let line = |at: usize| match self {
            Piece::Blank(ordinals) => (ordinals.start() + at as i64, None),
            Piece::Lines(lines) => (lines[at].ordinal, Some(&lines[at])),
            Piece::Mixed(_, lines) => (at as i64 + 1, line_of(lines, at as i64 + 1)),
        };
        let placed = specs.into_iter().zip(&summary.plates).enumerate();
        placed
            .map(|(at, (spec, placed))| {
                let (ordinal, line) = line(at);
                Plate {
                    token: spec.token,
                    batch: batch.id,
                    ordinal,
                    state: batch.order.made_as,
                    payload: spec.payload,
                    face: batch.face.clone(),
                    symbol: placed.symbol,
                    cover: line.map(|line| line.cover),
                    manhole: None,
                    printed_code: line.map(|line| line.code.clone()),
                    page: placed.page,
                    place_on_page: placed.place_on_page,
                    successor: None,
                    spot: PlateSpot::Public,
                    holder: None,
                    state_at: batch.created_at,
                }
            })
            .collect()
    }
}

fn line_of(lines: &[PlateLine], ordinal: i64) -> Option<&PlateLine> {
    lines.binary_search_by_key(&ordinal, |line| line.ordinal).ok().map(|at| &lines[at])
}

/// A plate's spec; refused where its level is none.
pub(super) fn spec(token: Token, payload: String, words: &PlateWords) -> Result<PlateSpec, Refusal> {
    let level = words.level.map(|letter| letter.to_string().parse::<Level>()).transpose()?;
    Ok(PlateSpec {
        token,
        payload,
        code_groups: words.code.clone(),
        class: words.class,
        class_label: words.label.clone(),
        owner: words.owner.clone(),
        hotline: words.hotline.clone(),
        road: words.road.clone(),
        level,
        symbol: None,
    })
}

/// How a file of a batch is drawn. `part` = its number where the batch has several.
pub(super) fn plate_run(batch: &Batch, labels: Labels, part: Option<i64>) -> PlateRun {
    PlateRun {
        face: labels.face,
        sheet: labels.sheet,
        palette: labels.palette,
        finish: batch.order.labels.finish,
        title: match part {
            None => batch.id.to_string(),
            Some(part) => format!("{}-{part:03}", batch.id),
        },
        dated: batch.created_at,
    }
}

/// Keeps the fonts unpacked for an order of many files.
pub async fn hold_fonts() -> Result<HeldFonts, PressError> {
    let held = tokio::task::spawn_blocking(crate::plates::hold_fonts).await;
    held.map_or_else(
        |_| Err(Refusal::new("plates.stopped").into()),
        |held| Ok(held.map_err(PlateError::from)?),
    )
}

/// Refuses plates that could not be drawn, before the first of them is.
pub(super) async fn check_drawn(run: PlateRun, specs: Vec<PlateSpec>) -> Result<(), PressError> {
    let checked = tokio::task::spawn_blocking(move || check_plates(&run, &specs));
    Ok(checked.await.unwrap_or_else(|_| Err(Refusal::new("plates.stopped").into()))?)
}

/// Proved sheets that wait beside their target; removed unless released.
pub(super) struct Waiting {
    path: PathBuf,
    released: bool,
}

impl Waiting {
    pub(super) fn release(mut self, target: &Path) -> Result<(), PressError> {
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

fn name_of(target: &Path) -> String {
    target.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Removes half files that a killed run left beside the target. Only where nobody else can be at it.
pub(super) fn clear_leftovers(target: &Path) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let start = format!(".{}.", name_of(target));
    let Ok(entries) = std::fs::read_dir(folder.unwrap_or(Path::new("."))) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&start) && name.ends_with(".part") {
            // One that stays takes room and does no other harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

pub(super) async fn render(
    run: PlateRun,
    specs: Vec<PlateSpec>,
    target: PathBuf,
) -> Result<(Waiting, Vec<PlateSpec>, RenderSummary), PressError> {
    let rendered = tokio::task::spawn_blocking(move || {
        let path = target.with_file_name(format!(".{}.{}.part", name_of(&target), BatchId::fresh()));
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
