//! Outlines of districts, management areas and grid cells out of GeoJSON, Shapefiles, GeoPackages, KML and
//! KMZ. Features of one code are parts of one area, which is how many programs write exclaves.

mod columns;
mod features;
mod geojson;
mod geopackage;
mod kml;
mod open;
mod rings;
mod shapefile;
mod wkb;

pub use columns::{AreaColumn, AreaColumns};

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::declared::DeclaredCrs;
use super::encoding::EncodingFound;
use super::look::overruled;
use super::{Coordinates, Format, Problem, Scope, Told, WantedCrs, shown};
use crate::crs::{CrsBook, Evidence, Reading, detect};
use crate::domain::Refusal;
use crate::domain::area::{Area, AreaKind, AreaShape, Ring};
use columns::{Chosen, columns_of};
use features::{Feature, RawRing};

/// Corners that are looked at for the reference system.
const SAMPLE: usize = 1000;

/// How a file of areas is to be read.
#[derive(Debug, Clone)]
pub struct AreaOrder {
    pub kind: AreaKind,
    pub columns: AreaColumns,
    /// Encoding and layer as a person says.
    pub told: Told,
    /// Reference system as a person says: `EPSG:4527`, `auto`; `None` = as the file declares.
    pub crs: Option<String>,
    /// The systems that the city knows.
    pub book: CrsBook,
}

/// What a file of areas holds.
#[derive(Debug, Clone)]
pub struct AreaLook {
    /// In the order of their codes.
    pub areas: Vec<Area>,
    /// Features that are no areas; each loses no other, so the caller decides whether the rest is wanted.
    pub problems: Vec<Problem>,
    pub found: AreaFindings,
}

/// What was understood of a file of areas.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AreaFindings {
    pub features: usize,
    pub format: String,
    /// Layer that was read, and those that were not.
    pub layer: Option<String>,
    pub other_layers: Vec<String>,
    pub encoding: Option<String>,
    /// The reference system, and what speaks for it by the codes of the sentences.
    pub crs: String,
    pub evidence: Vec<(String, BTreeMap<String, String>)>,
    pub columns: Vec<AreaColumn>,
    /// Columns that were taken for code, name and English name.
    pub code: String,
    pub name: String,
    pub name_en: Option<String>,
}

/// Reads a whole file. Refuses one of another kind, without surfaces, in a reference system that is not
/// understood or not declared where the numbers leave it open, and one whose columns cannot be told.
pub fn read_areas(path: &Path, file_name: &str, order: &AreaOrder) -> Result<AreaLook, Refusal> {
    let open::Opened { format, features, along } = open::open(path, file_name, &order.told)?;
    if features.is_empty() {
        return Err(Refusal::new("area.empty_file"));
    }
    let columns = columns_of(&features);
    let chosen = order.columns.choose(&columns)?;
    let (reading, coordinates) = understand(order, format, along.crs.as_ref(), &features)?;
    let count = features.len();
    let mut areas = BTreeMap::new();
    let mut problems = Vec::new();
    for feature in features {
        let line = feature.line;
        let read = label(&feature, &chosen);
        if let Err((column, refusal)) = add(&mut areas, order, &chosen, &reading, feature) {
            problems.push(Problem { line, column: Some(column), read, refusal, scope: Scope::Row });
        }
    }
    let (layer, other_layers) =
        along.layer.map_or((None, Vec::new()), |(layer, others)| (Some(layer), others));
    let found = AreaFindings {
        features: count,
        format: format.to_string(),
        layer,
        other_layers,
        encoding: along.encoding.map(|found: EncodingFound| found.encoding.to_string()),
        crs: coordinates.crs.clone(),
        evidence: evidence(&coordinates),
        columns,
        code: chosen.code,
        name: chosen.name,
        name_en: chosen.name_en,
    };
    Ok(AreaLook { areas: areas.into_values().collect(), problems, found })
}

fn evidence(coordinates: &Coordinates) -> Vec<(String, BTreeMap<String, String>)> {
    let facts = |observation: &super::Observation| {
        observation.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    coordinates.evidence.iter().map(|seen| (seen.code.to_owned(), facts(seen))).collect()
}

/// In which reference system the file is read: as a person says, as it declares, as its format says;
/// else as the numbers show, if they leave but one.
fn understand(
    order: &AreaOrder,
    format: Format,
    declared: Option<&DeclaredCrs>,
    features: &[Feature],
) -> Result<(Reading, Coordinates), Refusal> {
    let book = &order.book;
    let wanted = match order.crs.as_deref().map(str::trim) {
        None | Some("") => WantedCrs::Unsaid,
        Some(text) if text.eq_ignore_ascii_case("auto") => WantedCrs::Auto,
        Some(text) => WantedCrs::Named(book.named(text)?),
    };
    let (expected, said) = match (wanted, declared) {
        (WantedCrs::Named(crs), declared) => {
            let declared = declared.map(|declared| (declared.clone(), declared.understand(book)));
            (Some(crs.clone()), overruled(&crs, declared))
        }
        (_, Some(declared)) => {
            let said = Evidence::FileSays { said: declared.to_string() };
            (Some(declared.understand(book)?), Some(said))
        }
        (WantedCrs::Unsaid, None) if format == Format::GeoJson => {
            (Some(book.find(4490)?), Some(Evidence::FormatSays))
        }
        _ => (None, None),
    };
    let corners: Vec<(f64, f64)> = sample(features);
    let detection = detect(&corners, expected.as_ref(), None, book);
    if detection.points == 0
        && let Some(crs) = expected
    {
        // Without a single corner every feature is a problem of its own.
        let reading = Reading::new(crs);
        let epsg = reading.code()?;
        return Ok((reading.clone(), Coordinates::without_points(&reading, epsg)));
    }
    let decided = detection.decided()?;
    let epsg = decided.reading.code()?;
    Ok((decided.reading.clone(), Coordinates::of(&detection, decided, epsg, said)))
}

/// Some corners from everywhere in the file.
fn sample(features: &[Feature]) -> Vec<(f64, f64)> {
    let corners =
        || features.iter().filter_map(|feature| feature.shape.as_ref().ok()).flatten().flatten().flatten();
    let step = corners().count().div_ceil(SAMPLE).max(1);
    corners().step_by(step).map(|[x, y]| (*x, *y)).collect()
}

/// What a person would call a feature.
fn label(feature: &Feature, chosen: &Chosen) -> String {
    let texts = [feature.text(&chosen.code), feature.text(&chosen.name)];
    shown(&texts.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

type Flaw = (String, Refusal);

fn add(
    areas: &mut BTreeMap<String, Area>,
    order: &AreaOrder,
    chosen: &Chosen,
    reading: &Reading,
    feature: Feature,
) -> Result<(), Flaw> {
    let at_geometry = |refusal| ("geometry".to_owned(), refusal);
    let text = |column: &String| match feature.text(column) {
        Some(text) => Ok(text.to_owned()),
        None => Err((column.clone(), Refusal::new("area.property").with("column", column))),
    };
    let code = order.columns.written_out(&text(&chosen.code)?);
    let name_zh = text(&chosen.name)?;
    let name_en =
        chosen.name_en.as_ref().and_then(|column| feature.text(column)).unwrap_or(&name_zh).to_owned();
    let mut parts = Vec::new();
    for rings in feature.shape.map_err(at_geometry)? {
        let rings: Result<Vec<Ring>, Refusal> = rings.into_iter().map(|ring| placed(ring, reading)).collect();
        parts.push(rings.map_err(at_geometry)?);
    }
    let mut whole = parts;
    if let Some(known) = areas.get(&code) {
        if known.name_zh != name_zh {
            let refusal = Refusal::new("area.two_names").with("read", name_zh).with("first", &known.name_zh);
            return Err((chosen.name.clone(), refusal));
        }
        whole = [known.shape.parts().to_vec(), whole].concat();
    }
    let shape = AreaShape::new(whole).map_err(at_geometry)?;
    let area = Area { kind: order.kind, code: code.clone(), name_zh, name_en, shape };
    area.check().map_err(|refusal| {
        let column = if refusal.code == "area.code" { &chosen.code } else { &chosen.name };
        (column.clone(), refusal)
    })?;
    areas.insert(code, area);
    Ok(())
}

/// A ring in degrees; corners that follow themselves are one.
fn placed(ring: RawRing, reading: &Reading) -> Result<Ring, Refusal> {
    let mut placed = Ring::with_capacity(ring.len());
    for [x, y] in ring {
        let place = reading.place(x, y)?;
        if placed.last() != Some(&[place.lon, place.lat]) {
            placed.push([place.lon, place.lat]);
        }
    }
    Ok(placed)
}
