//! From a file to its features, whatever its format.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::super::archive::{Archive, Entry};
use super::super::layers::{format_of, one_layer};
use super::super::shapefile::Parts;
use super::super::{Format, Told, shown, unreadable};
use super::features::{Feature, Features, FoundAlong};
use super::{geojson, geopackage, kml, shapefile};
use crate::domain::Refusal;

/// Largest file of outlines, in bytes, and the most that an entry of an archive may come to.
const LARGEST: u64 = 256 << 20;
/// What a person would call what fits.
const FITS: &str = "GeoJSON, Shapefile (ZIP, or .shp beside .dbf), GeoPackage, KML, KMZ";

pub(super) struct Opened {
    pub(super) format: Format,
    pub(super) features: Vec<Feature>,
    pub(super) along: FoundAlong,
}

pub(super) fn open(path: &Path, file_name: &str, told: &Told) -> Result<Opened, Refusal> {
    let length = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if length > LARGEST {
        return Err(too_large());
    }
    let format = Format::of_file(path, file_name)?;
    let mut features = Features::default();
    let (format, along) = match format {
        Format::GeoJson | Format::Kml => {
            let file = File::open(path).map_err(|error| unreadable(&error))?;
            (format, read_stream(format, BufReader::with_capacity(1 << 16, file), told, &mut features)?)
        }
        Format::GeoPackage => (format, geopackage::read(path, told, &mut features)?),
        Format::Shapefile => {
            let parts = Parts::Files { shp: path.to_owned() };
            (format, shapefile::read(&parts, told, &mut features)?)
        }
        Format::Kmz | Format::Zip => open_archive(format, &Archive::open(path)?, told, &mut features)?,
        Format::Csv | Format::Xlsx | Format::Xls | Format::Ods => {
            return Err(Refusal::new("area.format").with("read", format).with("fits", FITS));
        }
    };
    Ok(Opened { format, features: features.list, along })
}

fn too_large() -> Refusal {
    Refusal::new("area.too_large").with("most_mb", LARGEST >> 20)
}

fn read_stream(
    format: Format,
    input: impl Read,
    told: &Told,
    features: &mut Features,
) -> Result<FoundAlong, Refusal> {
    let mut input = input.take(LARGEST + 1);
    let read = match format {
        Format::Kml => kml::read(&mut input, told, features),
        _ => geojson::read(&mut input, told, features),
    };
    // Cut off by the bound, it only looks damaged.
    if input.limit() == 0 { Err(too_large()) } else { read }
}

fn open_archive(
    format: Format,
    archive: &Archive,
    told: &Told,
    features: &mut Features,
) -> Result<(Format, FoundAlong), Refusal> {
    let mut layers: Vec<(&Entry, Format)> = Vec::new();
    for entry in &archive.entries {
        match format_of(entry) {
            // Points and lines beside the surfaces are no areas.
            Some(Format::Shapefile) if shapefile::may_hold(&Parts::Entries { archive, shp: entry })? => {
                layers.push((entry, Format::Shapefile));
            }
            Some(
                format @ (Format::GeoJson | Format::Kml | Format::GeoPackage | Format::Kmz | Format::Zip),
            ) => {
                layers.push((entry, format));
            }
            _ => {}
        }
    }
    let names: Vec<String> = layers.iter().map(|(entry, _)| entry.name.clone()).collect();
    let doc = names.iter().position(|name| name.eq_ignore_ascii_case("doc.kml"));
    let at = match (doc, &told.layer) {
        // The one that a KMZ is about; others are what it links to.
        (Some(doc), None) if format == Format::Kmz => doc,
        _ if names.is_empty() => return Err(Refusal::new("archive.no_layer").with("fits", FITS)),
        _ => one_layer(&names, told.layer.as_deref())?,
    };
    let (entry, inner) = layers[at];
    let alone = Told { layer: None, ..told.clone() };
    let mut along = match inner {
        Format::Shapefile => shapefile::read(&Parts::Entries { archive, shp: entry }, &alone, features)?,
        Format::GeoJson | Format::Kml => read_stream(inner, archive.reader(entry)?, &alone, features)?,
        // Archives within archives are not followed.
        _ => return Err(Refusal::new("archive.nested").with("read", shown(&entry.name))),
    };
    let others = names.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, name)| name.clone());
    along.layer = Some((entry.name.clone(), others.collect()));
    Ok((if format == Format::Kmz { format } else { inner }, along))
}
