//! Faces, sheets and printers by name: the city's own in the data folder before those that come with
//! the program. A batch keeps the text of its own, so that a print again needs no file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::Refusal;
use crate::domain::plate_batch::{BatchLabels, PrinterRecord};
use crate::plates::{Face, Palette, Sheet};
use crate::registry::Batch;

/// A face, a sheet corrected for a printer, and the colors of the classes.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    pub face: Face,
    pub sheet: Sheet,
    pub palette: Palette,
}

/// The city's face of this id: built in, or in the data folder's `faces`.
pub fn find_face(data: &Path, id: &str) -> Result<Face, Refusal> {
    face_with_text(data, id).map(|(face, _)| face)
}

/// The city's sheet of this id: built in, or in the data folder's `sheets`.
pub fn find_sheet(data: &Path, id: &str) -> Result<Sheet, Refusal> {
    sheet_with_text(data, id).map(|(sheet, _)| sheet)
}

/// Every face that may be ordered, the city's own first; one that cannot be read is refused.
pub fn list_faces(data: &Path) -> Result<Vec<Face>, Refusal> {
    let own = own_labels(&data.join("faces"))?;
    let own = own.iter().map(|text| Face::from_toml(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(own.into_iter().chain(Face::built_in()).collect())
}

/// Every sheet that may be ordered, the city's own first.
pub fn list_sheets(data: &Path) -> Result<Vec<Sheet>, Refusal> {
    let own = own_labels(&data.join("sheets"))?;
    let own = own.iter().map(|text| Sheet::from_toml(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(own.into_iter().chain(Sheet::built_in()).collect())
}

/// Every printer in the data folder's `printers`, each measured once on its calibration page.
pub fn list_printers(data: &Path) -> Result<Vec<PrinterRecord>, Refusal> {
    own_labels(&data.join("printers"))?.iter().map(|text| read_printer(text)).collect()
}

fn find_printer(data: &Path, name: &str) -> Result<PrinterRecord, Refusal> {
    let all = list_printers(data)?;
    let fits: Vec<&str> = all.iter().map(|printer| printer.name.as_str()).collect();
    let refusal =
        Refusal::new("printer.unknown").at("printer").with("read", name).with("fits", fits.join(", "));
    all.iter().find(|printer| printer.name == name).cloned().ok_or(refusal)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrinterFile {
    name: String,
    #[serde(default)]
    offset_x: f64,
    #[serde(default)]
    offset_y: f64,
    #[serde(default = "unscaled")]
    scale: f64,
}

fn unscaled() -> f64 {
    1.0
}

fn read_printer(text: &str) -> Result<PrinterRecord, Refusal> {
    let refuse = |reason: &str| Refusal::new("printer.file").with("reason", reason);
    let read: PrinterFile = toml::from_str(text).map_err(|error| refuse(error.message()))?;
    // More than five per cent is not a printer's error but a wrong page size.
    let fits =
        read.offset_x.abs() <= 20.0 && read.offset_y.abs() <= 20.0 && (0.95..=1.05).contains(&read.scale);
    if !fits || read.name.trim().is_empty() {
        return Err(refuse("offset_x, offset_y: at most 20; scale: 0.95 to 1.05; name"));
    }
    Ok(PrinterRecord { name: read.name, offset_x: read.offset_x, offset_y: read.offset_y, scale: read.scale })
}

/// What an order will be printed with, and what its batch keeps of it.
pub(super) fn choose(
    data: &Path,
    (face, sheet, printer): (&str, &str, Option<&str>),
) -> Result<(Labels, BatchLabels, Option<PrinterRecord>), Refusal> {
    let (face, face_text) = face_with_text(data, face)?;
    let (sheet, sheet_text) = sheet_with_text(data, sheet)?;
    let printer = printer.map(|name| find_printer(data, name)).transpose()?;
    let palette_text = own_palette(data)?;
    let palette = palette_of(palette_text.as_deref())?;
    let kept =
        BatchLabels { face: face_text, sheet: sheet_text, palette: palette_text, ..BatchLabels::default() };
    Ok((Labels { face, sheet: corrected(sheet, printer.as_ref()), palette }, kept, printer))
}

/// What a batch was printed with.
pub(super) fn labels_of(data: &Path, batch: &Batch) -> Result<Labels, Refusal> {
    let kept = &batch.order.labels;
    let built_in = |id: &String| Face::built_in().into_iter().find(|face| face.id == *id);
    let face = match &kept.face {
        Some(text) => Face::from_toml(text)?,
        None => built_in(&batch.face).map_or_else(|| find_face(data, &batch.face), Ok)?,
    };
    let built_in = |id: &String| Sheet::built_in().into_iter().find(|sheet| sheet.id == *id);
    let sheet = match &kept.sheet {
        Some(text) => Sheet::from_toml(text)?,
        None => built_in(&batch.sheet).map_or_else(|| find_sheet(data, &batch.sheet), Ok)?,
    };
    let sheet = corrected(sheet, batch.order.printer.as_ref());
    Ok(Labels { face, sheet, palette: palette_of(kept.palette.as_deref())? })
}

/// The colors of the classes: the city's own in the data folder's `colors.toml`, or those that come with
/// the program.
pub fn find_palette(data: &Path) -> Result<Palette, Refusal> {
    palette_of(own_palette(data)?.as_deref())
}

fn palette_of(text: Option<&str>) -> Result<Palette, Refusal> {
    text.map_or_else(|| Ok(Palette::built_in()), Palette::from_toml)
}

fn own_palette(data: &Path) -> Result<Option<String>, Refusal> {
    let path = data.join("colors.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Refusal::new("file.not_read").with("file", path.display()).with("reason", error)),
    }
}

fn corrected(mut sheet: Sheet, printer: Option<&PrinterRecord>) -> Sheet {
    if let Some(printer) = printer {
        sheet.printer.offset_x = printer.offset_x;
        sheet.printer.offset_y = printer.offset_y;
        sheet.printer.scale = printer.scale;
    }
    sheet
}

/// A face, and its text where it is the city's own.
fn face_with_text(data: &Path, id: &str) -> Result<(Face, Option<String>), Refusal> {
    for text in own_labels(&data.join("faces"))? {
        let face = Face::from_toml(&text)?;
        if face.id == id {
            return Ok((face, Some(text)));
        }
    }
    let built_in = Face::built_in().into_iter().find(|face| face.id == id);
    if let Some(face) = built_in {
        return Ok((face, None));
    }
    let fits: Vec<String> = list_faces(data)?.into_iter().map(|face| face.id).collect();
    Err(Refusal::new("face.unknown").at("face").with("read", id).with("fits", fits.join(", ")))
}

fn sheet_with_text(data: &Path, id: &str) -> Result<(Sheet, Option<String>), Refusal> {
    for text in own_labels(&data.join("sheets"))? {
        let sheet = Sheet::from_toml(&text)?;
        if sheet.id == id {
            return Ok((sheet, Some(text)));
        }
    }
    let built_in = Sheet::built_in().into_iter().find(|sheet| sheet.id == id);
    if let Some(sheet) = built_in {
        return Ok((sheet, None));
    }
    let fits: Vec<String> = list_sheets(data)?.into_iter().map(|sheet| sheet.id).collect();
    Err(Refusal::new("sheet.unknown").at("sheet").with("read", id).with("fits", fits.join(", ")))
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
