//! From a file to the reader of one of its layers.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::archive::{Archive, Entry};
use super::csv::CsvReader;
use super::geojson::GeoJsonReader;
use super::kml::KmlReader;
use super::shapefile::{self, Parts};
use super::sheet::SheetReader;
use super::{Format, RowReader, Told, geopackage, ods, shown, unreadable, xls, xlsx};
use crate::domain::Refusal;

/// A layer that was opened.
pub(super) struct Opened {
    pub(super) reader: Box<dyn RowReader>,
    /// Of the layer, where the file was an archive.
    pub(super) format: Format,
    /// Name of the layer in an archive, and those of the others.
    pub(super) layer: Option<(String, Vec<String>)>,
}

/// Opens what is read as a stream.
pub(super) fn open_stream<'r>(
    format: Format,
    bytes: Box<dyn Read + 'r>,
    told: &Told,
    delimiter: Option<u8>,
) -> Result<Box<dyn RowReader + 'r>, Refusal> {
    Ok(match format {
        Format::Csv => Box::new(CsvReader::new(bytes, told, delimiter)),
        Format::GeoJson => Box::new(GeoJsonReader::new(bytes, told)),
        Format::Kml => Box::new(KmlReader::new(bytes, told)),
        _ => return Err(Refusal::new("file.container")),
    })
}

pub(super) fn open_file(
    format: Format,
    path: &Path,
    told: &Told,
    delimiter: Option<u8>,
) -> Result<Opened, Refusal> {
    let layer = told.layer.as_deref();
    let reader: Box<dyn RowReader> = match format {
        Format::Csv | Format::GeoJson | Format::Kml => {
            let file = File::open(path).map_err(|error| unreadable(&error))?;
            open_stream(format, Box::new(BufReader::with_capacity(1 << 18, file)), told, delimiter)?
        }
        Format::Xlsx => Box::new(SheetReader::new(Box::new(xlsx::open(&Archive::open(path)?, layer)?))),
        Format::Ods => Box::new(SheetReader::new(Box::new(ods::open(&Archive::open(path)?, layer)?))),
        Format::Xls => Box::new(SheetReader::new(Box::new(xls::open(path, layer)?))),
        Format::GeoPackage => Box::new(geopackage::open(path, told)?),
        Format::Shapefile => Box::new(shapefile::open(&Parts::Files { shp: path.to_owned() }, told)?),
        Format::Kmz | Format::Zip => return open_archive(format, &Archive::open(path)?, told, delimiter),
    };
    Ok(Opened { reader, format, layer: None })
}

/// The format of an entry that can be read where it lies.
pub(super) fn format_of(entry: &Entry) -> Option<Format> {
    let file = entry.name.rsplit(['/', '\\']).next().unwrap_or_default();
    if entry.name.starts_with("__MACOSX") || file.starts_with('.') {
        return None;
    }
    Some(match file.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "shp" => Format::Shapefile,
        "csv" | "tsv" => Format::Csv,
        "geojson" | "json" | "geojsonl" | "geojsons" | "ndjson" => Format::GeoJson,
        "kml" => Format::Kml,
        "xlsx" | "xlsm" => Format::Xlsx,
        "xls" => Format::Xls,
        "ods" => Format::Ods,
        "gpkg" => Format::GeoPackage,
        "kmz" => Format::Kmz,
        "zip" => Format::Zip,
        _ => return None,
    })
}

/// Leaves out the tables that explain a Shapefile in an archive of ours: what its names stand for, and
/// the texts that were longer than its fields.
fn leave_out_notes(layers: &mut Vec<(&Entry, Format)>) {
    let shapes: Vec<String> = layers
        .iter()
        .filter(|(_, format)| *format == Format::Shapefile)
        .filter_map(|(entry, _)| Some(entry.name.rsplit_once('.')?.0.to_owned()))
        .collect();
    layers.retain(|(entry, format)| {
        let notes = |shape: &String| {
            let rest = entry.name.strip_prefix(shape.as_str());
            matches!(rest, Some("-fields.csv" | "-long.csv"))
        };
        *format != Format::Csv || !shapes.iter().any(notes)
    });
}

fn open_archive(
    format: Format,
    archive: &Archive,
    told: &Told,
    delimiter: Option<u8>,
) -> Result<Opened, Refusal> {
    let mut layers: Vec<(&Entry, Format)> = Vec::new();
    let mut other_kind = None;
    for entry in &archive.entries {
        let Some(format) = format_of(entry) else { continue };
        if format == Format::Shapefile {
            // Lines and areas beside the points are no layers of covers.
            if let Some(kind) = shapefile::other_kind(&Parts::Entries { archive, shp: entry })? {
                other_kind = Some(kind);
                continue;
            }
        }
        layers.push((entry, format));
    }
    leave_out_notes(&mut layers);
    let names: Vec<String> = layers.iter().map(|(entry, _)| entry.name.clone()).collect();
    let doc = names.iter().position(|name| name.eq_ignore_ascii_case("doc.kml"));
    let at = match (doc, &told.layer) {
        // The one that a KMZ is about; others are what it links to.
        (Some(doc), None) if format == Format::Kmz => doc,
        _ if names.is_empty() => {
            return Err(match other_kind {
                Some(kind) => Refusal::new("geometry.type").at("position").with("read", kind),
                None => Refusal::new("archive.no_layer").with("fits", super::format::FITS),
            });
        }
        _ => one_layer(&names, told.layer.as_deref())?,
    };
    let (entry, format) = layers[at];
    let inner = Told { layer: None, ..told.clone() };
    let reader: Box<dyn RowReader> = match format {
        Format::Shapefile => Box::new(shapefile::open(&Parts::Entries { archive, shp: entry }, &inner)?),
        Format::Csv | Format::GeoJson | Format::Kml => {
            open_stream(format, Box::new(archive.reader(entry)?), &inner, delimiter)?
        }
        // Archives within archives are not followed.
        _ => return Err(Refusal::new("archive.nested").with("read", shown(&entry.name))),
    };
    let others = names.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, name)| name.clone());
    Ok(Opened { reader, format, layer: Some((entry.name.clone(), others.collect())) })
}

/// The only layer, or the one asked for. Several without a choice are refused with their names.
pub(super) fn one_layer(names: &[String], wanted: Option<&str>) -> Result<usize, Refusal> {
    match wanted {
        Some(wanted) => choose_layer(names, wanted),
        None if names.len() == 1 => Ok(0),
        None => Err(Refusal::new("layer.several")
            .at("layer")
            .with("count", names.len())
            .with("fits", listed(names))),
    }
}

/// The layer of this name: whole, or without folders and ending; in capitals or not.
pub(super) fn choose_layer(names: &[String], wanted: &str) -> Result<usize, Refusal> {
    let plain = |name: &str| name.trim().to_lowercase();
    let stem = |name: &str| {
        let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
        plain(file.rsplit_once('.').map_or(file, |(stem, _)| stem))
    };
    let wanted_plain = plain(wanted);
    let mut found = (0..names.len()).filter(|at| plain(&names[*at]) == wanted_plain);
    if let Some(at) = found.next() {
        return Ok(at);
    }
    let mut found = (0..names.len()).filter(|at| stem(&names[*at]) == wanted_plain);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        _ => Err(Refusal::new("layer.unknown")
            .at("layer")
            .with("read", shown(wanted))
            .with("fits", listed(names))),
    }
}

fn listed(names: &[String]) -> String {
    const LISTED: usize = 30;
    let mut list: Vec<String> = names.iter().take(LISTED).map(|name| shown(name)).collect();
    if names.len() > LISTED {
        list.push("…".into());
    }
    list.join(", ")
}
